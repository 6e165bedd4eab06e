"""The console's process."""

import os
import signal
import socket
from contextlib import suppress

from setproctitle import setproctitle

from common import logs
from common.broker.opening import open_broker
from common.claims import Claims
from common.config import Config
from common.config.withholding import without_credentials
from common.debug import Probes, open_listener
from common.debug.handing import Receiver
from common.errors import ConfigError, ConfigProblem
from common.insight.processes import Presence
from common.metrics.metering import Metering
from common.paths import Layout
from entrepot.console.application import Application
from entrepot.console.history import History
from entrepot.console.server import Server
from entrepot.console.watch import Sources

TITLE = "entrepot: console"
_ENDING = {signal.SIGTERM, signal.SIGINT}
# Whatever it has to do, others go first.
_NICENESS = 10

_WANTED = "expected an address for the console, and http.debug.console.enabled not to be false"

_log = logs.get(__name__)


def run(config: Config) -> int:
    """Answer until SIGTERM or SIGINT; the exit status. Raises ConfigError."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    setproctitle(TITLE)
    with suppress(OSError):
        os.nice(_NICENESS)
    config = without_credentials(config)
    debug = config.http.debug
    if not debug.has_console:
        raise ConfigError([ConfigProblem("configuration", "http.debug.addr", _WANTED)])
    listener = None if debug.console.socket else open_listener(config)
    broker = open_broker(config.queue.url, name=TITLE)
    layout = Layout(config.storage.rootdirectory)
    claims = Claims(layout, config.fetcher.lease)
    metering, probes = Metering(config, "console"), Probes(config, listener, writes=False)
    history = History(metering.collect)
    sources = Sources(layout, claims, broker, metering.collect, metering.collect_waiting)
    application = Application(config, sources, history)
    server = Server(application.answer, application.refuse)
    metering.start(broker)
    history.start()
    receiver = Receiver(debug.console.socket, server.take) if debug.console.socket else None

    def keep(connection: socket.socket) -> bool:
        server.take(connection.dup())
        return True

    probes.start(broker, needs_broker=False, pages=metering.pages, beyond=keep)
    presence = Presence(layout, "console")
    if not config.maintenance.readonly.enabled:
        presence.begin()
    _log.info("console started", address=debug.addr)
    received = signal.Signals(signal.sigwait(_ENDING))
    _log.info("console ends", signal=received.name)
    if receiver is not None:
        receiver.close()
    probes.stop()
    presence.end()
    history.close()
    metering.close()
    claims.close()
    broker.close()
    return 0
