"""The console's connections: each on a thread, so many at once, so many answers made at once."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from common import logs
from entrepot.console.web import Refusal, Request, Response, read_request, write_response

_log = logs.get(__name__)

CONNECTIONS = 64
# Each may read a folder or wait for the queue: the disk is the data path's.
_MADE_AT_ONCE = 4
_PATIENCE = 5.0
# Seconds that a client has to close its side, and how much of what it still says is taken at once.
_LINGER = 1.0
_UNREAD = 1 << 16

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\n"
    b"Content-Length: 40\r\nConnection: close\r\n\r\nThe console has too many visitors now.\r\n"
)


class Server:
    """Answers on connections that it is given."""

    def __init__(
        self,
        answer: Callable[[Request], Response],
        refuse: Callable[[Refusal], Response],
        connections: int = CONNECTIONS,
    ) -> None:
        self._answer = answer
        self._refuse = refuse
        self._places = threading.BoundedSemaphore(connections)
        self._making = threading.BoundedSemaphore(_MADE_AT_ONCE)

    def take(self, connection: socket.socket) -> None:
        """Answer on this connection, which is the server's from now on."""
        if not self._places.acquire(blocking=False):
            _turn_away(connection)
            return
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had
            self._places.release()
            _turn_away(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                self._exchange(connection)
        finally:
            self._places.release()

    def _exchange(self, connection: socket.socket) -> None:
        try:
            request = read_request(connection)
        except Refusal as refusal:
            write_response(connection, self._refuse(refusal), is_head=False)
            _end(connection)
            return
        if request is None:
            return
        response = self._make(request)
        try:
            write_response(connection, response, is_head=request.method == "HEAD")
            _end(connection)
        finally:
            if response.stream is not None:
                response.stream.close()

    def _make(self, request: Request) -> Response:
        if not self._making.acquire(timeout=_PATIENCE):
            text = "The console has too much to do now."
            return self._refuse(
                Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, **{"Retry-After": "5"})
            )
        try:
            return self._answer(request)
        except Refusal as refusal:
            return self._refuse(refusal)
        except Exception:  # noqa: BLE001 - whatever broke a page must not end the console
            _log.exception("a page of the console broke", path=request.path[:200])
            return self._refuse(
                Refusal(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    "Something went wrong here; the console's log says what.",
                )
            )
        finally:
            self._making.release()


def _turn_away(connection: socket.socket) -> None:
    """Say so, and wait for nothing: who calls has more connections to look after."""
    with connection, suppress(OSError):
        connection.settimeout(0)
        connection.send(_BUSY)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(_UNREAD)


def _end(connection: socket.socket) -> None:
    """Close so that what was sent arrives: bytes left unread would have the kernel cut it short."""
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + _LINGER
    with suppress(OSError):
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(_UNREAD):
                break
