"""The cache as its clients see it: an address, and one connection for each request."""

import http.client
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.config import Config
from entrepot.address import address_of
from entrepot.failure import Misused

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and how; `prefix` stands in front of every path."""

    host: str
    port: int
    prefix: str = ""
    context: ssl.SSLContext | None = None
    path: str = ""
    """Of a unix socket, in place of host and port."""

    def __str__(self) -> str:
        """As a user would write it."""
        if self.path:
            return f"unix:{self.path}"
        scheme = "https" if self.context else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.prefix}"

    @property
    def is_encrypted(self) -> bool:
        """Whether others on the way can read along."""
        return self.context is not None

    @property
    def netloc(self) -> str:
        """Host and port as an image's name would have them."""
        return f"{self.host}:{self.port}"

    def get(
        self, target: str, headers: Mapping[str, str], within: float
    ) -> http.client.HTTPResponse:
        """The response to a GET of `target`, below the prefix; `within` seconds between any bytes.

        Closing it closes its connection. Raises OSError or http.client.HTTPException.
        """
        connection = self._connection()
        try:
            connection.connect()
            connection.sock.settimeout(within)
            every = {"User-Agent": "entrepot-warm", "Connection": "close", **headers}
            connection.request("GET", f"{self.prefix}{target}", headers=every)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        if self.path:
            return _UnixConnection(self.path)
        if self.context is not None:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=_CONNECT_SECONDS, context=self.context
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=_CONNECT_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CONNECT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_CONNECT_SECONDS)
        self.sock.connect(self._path)


def at(url: str, *, cafile: str | None = None, cert: str | None = None) -> Server:
    """The server at `url`; raises Misused where that is no address."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.username:
        raise Misused("--server: expected an address such as https://mirror.example:5000")
    is_encrypted = parts.scheme == "https"
    return Server(
        parts.hostname,
        port or (443 if is_encrypted else 80),
        parts.path.rstrip("/"),
        _context(cafile, cert) if is_encrypted else None,
    )


def configured(config: Config, *, cafile: str | None = None, cert: str | None = None) -> Server:
    """The server of this machine, as the configuration says it listens."""
    address = address_of(config.http)
    if address.path:
        return Server("localhost", 0, config.http.prefix, path=address.path)
    context = None
    if config.http.tls.certificate:
        context = _context(cafile, cert)
        if cafile is None:
            # This machine's own certificate, whatever name it bears and whoever signed it.
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            _load(context.load_verify_locations, config.http.tls.certificate)
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return Server(host, address.port, config.http.prefix, context)


def _context(cafile: str | None, cert: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if cafile is not None:
        _load(context.load_verify_locations, cafile)
    if cert is not None:
        _load(context.load_cert_chain, cert)
    return context


def _load(load: Callable[[str], object], path: str) -> None:
    try:
        load(os.fspath(path))
    except OSError as error:  # ssl.SSLError is one
        raise Misused(f"{path}: expected certificates in PEM: {error.strerror or error}") from error
