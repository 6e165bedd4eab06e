"""Where frontends listen, seen from the machine they run on."""

import errno
import socket
from dataclasses import dataclass, replace

from common.config import Http

# The kernel takes these as destinations too, but not everywhere, and people find them odd.
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

# On the same machine a connection is made at once or not at all.
_CONNECT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP port (`host` empty: all interfaces), or a unix socket's `path`."""

    host: str = ""
    port: int = 0
    path: str = ""
    is_encrypted: bool = False

    def __str__(self) -> str:
        """What a user on this machine can type."""
        if self.path:
            return f"unix:{self.path}"
        scheme = "https" if self.is_encrypted else "http"
        return f"{scheme}://{_bracketed(self._reachable)}:{self.port}"

    @property
    def _reachable(self) -> str:
        return _EVERYWHERE.get(self.host, self.host)

    def connect(self) -> socket.socket:
        """A connection that does not block any more; raises OSError at once when there is none."""
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(_CONNECT_SECONDS)
            _connect(connection, self.path)
        else:
            target = (self._reachable, self.port)
            connection = socket.create_connection(target, timeout=_CONNECT_SECONDS)
        connection.setblocking(False)
        return connection

    def is_taken(self) -> bool:
        """Whether somebody listens on the port already. A unix socket never is: it is replaced."""
        if self.path:
            return False
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.host, self.port))
            except OSError as error:
                return error.errno == errno.EADDRINUSE
        return False

    def settled(self) -> "Address":
        """This address with a port that is free now, where port 0 leaves the choice to us."""
        if self.path or self.port:
            return self
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as trial:
            trial.bind((self.host, 0))
            return replace(self, port=trial.getsockname()[1])

    @property
    def configured(self) -> str:
        """As `http.addr` says it."""
        return self.path or f"{_bracketed(self.host)}:{self.port}"


def address_of(http: Http) -> Address:
    """Where the frontends of this configuration listen."""
    if http.net == "unix":
        return Address(path=http.addr)
    host, port = http.listen
    return Address(host, port, is_encrypted=bool(http.tls.certificate))


def _connect(connection: socket.socket, path: str) -> None:
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
