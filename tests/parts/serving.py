"""The HTTP server under `Upstream`: a thread for each connection, every exchange recorded."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any

from tests.parts.faults import Answer, HangUp
from tests.parts.process import free_port

# Little is "sent" that nobody has received: the count stays near what the other side read.
_SEND_BUFFER_BYTES = 128 * 1024


@dataclass
class Exchange:
    """A request, and how far its answer has got; names of headers in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


Answering = Callable[[Exchange, threading.Event], Answer]


class Server:
    """Serves what `answering` says, on one port over stops and starts."""

    def __init__(self, answering: Answering) -> None:
        self.port = free_port()
        self._answering = answering
        self._listener: _Listener | None = None

    def start(self) -> None:
        """Listen, and serve in threads; nothing when it runs."""
        if self._listener is None:
            self._listener = _Listener(self.port, self._answering)
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Cut every connection and stop listening; AssertionError if `answering` ever raised."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.end()
            assert not listener.mistakes, listener.mistakes


class _Listener(TCPServer):
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, answering: Answering) -> None:
        self.answering = answering
        self.stopping = threading.Event()
        self.mistakes: list[Exception] = []
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[request] = thread
        thread.start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            # A client may vanish at any moment. That is its right, and no mistake of ours.
            with suppress(OSError):
                self.finish_request(request, client_address)
        except Exception as mistake:  # noqa: BLE001 - shown when the server is stopped
            self.mistakes.append(mistake)
        finally:
            with self._lock:
                self._connections.pop(request, None)
            self.shutdown_request(request)

    def end(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, *_: object, **__: object) -> None:
        """Nothing: the exchanges are the log."""

    def _exchange(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        # Bodies of requests are not read: what follows them would be taken for a request.
        self.close_connection = self.close_connection or self.command not in ("GET", "HEAD")
        exchange = Exchange(self.command, path, query, headers)
        answer = self.server.answering(exchange, self.server.stopping)
        try:
            self._send(exchange, answer)
        except HangUp as hang_up:
            self.close_connection = True
            if hang_up.reset:
                self._reset()
        finally:
            answer.closing()

    # Names that http.server looks up.
    do_GET = do_HEAD = do_POST = _exchange  # noqa: N815
    do_PUT = do_PATCH = do_DELETE = _exchange  # noqa: N815

    def _send(self, exchange: Exchange, answer: Answer) -> None:
        exchange.status = answer.status
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        bodiless = answer.status in (204, 304)
        if not bodiless:
            self.send_header("Content-Length", str(answer.length))
        self.end_headers()
        if bodiless or self.command == "HEAD":
            return
        for piece in answer.body:
            # A fault that was waiting is woken by the end; what it held back must not go out.
            if self.server.stopping.is_set():
                raise HangUp(reset=False)
            # Before: whoever has the piece finds it counted.
            exchange.sent += len(piece)
            try:
                self.wfile.write(piece)
            except OSError:
                exchange.sent -= len(piece)
                raise

    def _reset(self) -> None:
        """RST instead of FIN: what close() sends when it lingers for zero seconds."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The reader shares the descriptor, which is closed with the last of the two.
        self.rfile.close()
        self.request.close()
