"""Connections: only to judged addresses, of bounded patience for headers, and aware of being stale."""

import io
import ssl
import time
from contextlib import suppress
from http.client import HTTPResponse as PlainResponse
from socket import socket
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.response import HTTPResponse
from urllib3.util.connection import create_connection

from fetcher.addresses import AddressPolicy

_SILENT_ADDRESSES = 2


class StaleConnection(Exception):
    """A kept-alive connection turned out to be closed by the other side: ask again on a new one."""


class _Deadline(io.RawIOBase):
    """A socket's reading side that gives up at a moment, however steadily bytes trickle in.

    The socket's own timeout starts again with every byte, and a header may be 6 MB of them.
    """

    def __init__(self, raw: io.RawIOBase, seconds: float) -> None:
        super().__init__()
        self._raw = raw
        self._end: float | None = time.monotonic() + seconds

    def lift(self) -> None:
        self._end = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None and time.monotonic() > self._end:
            raise TimeoutError("the answer's header takes too long")
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Records(io.RawIOBase):
    """A TLS socket's reading side that gives all that has come, not one record of 16 KiB at a time.

    Beside its bytes each chunk costs some 60 µs on its way to the disk.
    """

    def __init__(self, sock: ssl.SSLSocket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw
        self._error: OSError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._error is not None:
            raise self._error
        count: int | None = self._raw.readinto(buffer)
        return count + self._take_more(memoryview(buffer)[count:]) if count else count

    def _take_more(self, room: memoryview) -> int:
        """Fill `room` with what is there; an error waits, since what came before it is good."""
        count = 0
        timeout = self._sock.gettimeout()
        self._sock.settimeout(0)
        try:
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                while count < len(room) and (more := self._sock.recv_into(room[count:])):
                    count += more
        except OSError as error:
            self._error = error
        finally:
            self._sock.settimeout(timeout)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(PlainResponse):
    """A response whose header must be complete within some seconds."""

    def __init__(self, sock: socket, *args: Any, header_seconds: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        raw = _Records(sock, raw) if isinstance(sock, ssl.SSLSocket) else raw
        self._deadline = _Deadline(raw, header_seconds)
        self.fp = io.BufferedReader(self._deadline)

    def begin(self) -> None:
        super().begin()
        self._deadline.lift()


class _Judged(HTTPConnection):
    """What both kinds of connection do."""

    policy: AddressPolicy
    header_seconds: float
    _answers = 0
    _plain: _TimedResponse | None = None

    def _new_conn(self) -> socket:
        self._answers = 0
        try:
            return self._first_reachable(self.policy.addresses(self.host, self.port))
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"no connection to {self.host} in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection to {self.host}: {error}") from error

    def _first_reachable(self, addresses: list[str]) -> socket:
        # Where packets are swallowed each address costs the whole timeout, and names with eight
        # of them are common: two silent ones are enough (say, the IPv6 and the IPv4 one).
        timeouts = 0
        for address in addresses[:-1]:
            try:
                return self._connected(address)
            except TimeoutError:
                timeouts += 1
                if timeouts == _SILENT_ADDRESSES:
                    raise
            except OSError:
                continue
        return self._connected(addresses[-1])

    def _connected(self, address: str) -> socket:
        return create_connection(
            (address, self.port),
            self.timeout,
            source_address=self.source_address,
            socket_options=self.socket_options,
        )

    def response_class(self, sock: socket, **kwargs: Any) -> _TimedResponse:  # type: ignore[override]
        self._plain = _TimedResponse(sock, header_seconds=self.header_seconds, **kwargs)
        return self._plain

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        try:
            response = super().getresponse()
        except (ConnectionResetError, BrokenPipeError) as error:
            if self._answers:
                raise StaleConnection from error
            raise
        except HTTPError:
            # urllib3 gives up on headers after the connection has been made over to the answer.
            if self._plain:
                self._plain.close()
            raise
        finally:
            self._plain = None
        self._answers += 1
        return response


def pool_classes(
    policy: AddressPolicy, header_seconds: float
) -> dict[str, type[HTTPConnectionPool]]:
    """For each scheme the pool whose connections obey `policy`.

    An answer's header must be complete within `header_seconds`.
    """
    # urllib3 keys its pools by a fixed set of parameters, so ours are bound to classes.
    obeying = {"policy": policy, "header_seconds": header_seconds}
    plain = type("JudgedConnection", (_Judged,), obeying)
    secure = type("JudgedTlsConnection", (_Judged, HTTPSConnection), obeying)
    return {
        "http": type("JudgedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("JudgedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }
