"""A small HTTP server on threads of its own, so that it answers while everything else is busy.

It is bounded: sixteen requests at once, ten seconds for each; what comes beyond that is closed. It
takes a hundred connections a second at most: a flood of them costs its process a few percent of a
processor.
"""

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from common import logs
from common.debug.handing import path_of

_log = logs.get(__name__)

_AT_ONCE = 16
_SECONDS = 10.0
_BACKLOG = 64
# Seconds between two connections.
_PAUSE = 0.01


@dataclass(frozen=True, slots=True)
class Reply:
    """What a page answers."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"

    @classmethod
    def of(cls, value: Any, status: int = 200) -> "Reply":
        """The value as JSON."""
        return cls(json.dumps(value).encode(), status)


Page = Callable[[], Reply]
"""Made anew for every request, on a thread of the server."""

Beyond = Callable[[socket.socket], bool]
"""Given a connection whose request, still unread, is for no page here; whether somebody else has it
now, with a descriptor of their own. False: it is answered here.
"""

NOT_FOUND = Reply(b"404 page not found\n", 404, "text/plain")


def listen(host: str, port: int) -> socket.socket:
    """The socket for a server, open; an empty host means all interfaces. Raises OSError.

    Processes that inherit it may each run a server on it: one of them takes each connection.
    """
    if not host and socket.has_dualstack_ipv6():
        listener = socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
        )
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Another process may take the connection that woke us.
    listener.setblocking(False)
    return listener


class Server(ThreadingHTTPServer):
    """Serves `pages`, by path, from `start` on."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        listener: socket.socket,
        pages: Mapping[str, Page],
        beyond: Beyond | None = None,
        absent: Reply = NOT_FOUND,
    ) -> None:
        """Take the open socket; it is closed with the server.

        What is not in `pages` is `beyond`'s, and answered with `absent` where it is not.
        """
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.pages = pages
        self.absent = absent
        self._beyond = beyond
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="debug", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._waker.send(b"x")
        self._thread.join()
        self.server_close()
        self._waker.close()
        self._woken.close()

    def _run(self) -> None:
        # The base class would look twice a second whether it is to end.
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while all(key.fileobj is not self._woken for key, _ in selector.select()):
                self._take()
                time.sleep(_PAUSE)

    def _take(self) -> None:
        try:
            request, address = self.socket.accept()
        except OSError:  # another process took it, or it has gone
            return
        try:
            self.process_request(request, address)
        except RuntimeError:  # no more threads to be had
            self.shutdown_request(request)
            self._places.release()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread, unless there are enough."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            if self._is_taken(request):
                self.close_request(request)
            else:
                super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def _is_taken(self, request: socket.socket) -> bool:
        if self._beyond is None:
            return False
        path = path_of(request, _SECONDS)
        return path is not None and path not in self.pages and self._beyond(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - theirs
        """A client that has gone is nothing to talk about."""
        _log.debug("a debug request ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "entrepot"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        reply = self._ask(page) if page else self.server.absent
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _ask(self, page: Page) -> Reply:
        try:
            return page()
        except Exception:  # noqa: BLE001 - whatever broke a page must not end the server
            _log.exception("a debug page broke", path=self.path[:200])
            return Reply.of({"error": "something went wrong here"}, 500)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - theirs
        """Probes come every second: nothing to log."""
