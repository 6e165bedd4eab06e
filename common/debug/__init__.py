"""The listener at `http.debug.addr`: how a process is, for probes and people. Not for clients."""

from common.debug.probes import Probes, open_listener
from common.debug.server import NOT_FOUND, Beyond, Page, Reply, Server, listen

__all__ = ["NOT_FOUND", "Beyond", "Page", "Probes", "Reply", "Server", "listen", "open_listener"]
