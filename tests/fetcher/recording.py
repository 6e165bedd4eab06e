"""An HTTP server that answers as a test says and remembers what it was asked."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    connection: int  # the client's port: equal for requests on one connection


@dataclass(frozen=True)
class Reply:
    """What to answer; Content-Length is added unless given."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Seen], Reply]


class Server:
    """A running server. `answer` may be replaced at any time."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.host = ""
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def asked(self, path: str) -> list[Seen]:
        """The requests whose path ended so."""
        return [seen for seen in self.seen if seen.path.endswith(path)]


@contextmanager
def serving(
    answer: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """A server on a free port of the loopback, gone afterwards with all its connections."""
    server = Server(answer)
    server.host = host

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Bounds how long an idle kept-alive connection holds up the end of a test.
        timeout = 5

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(
                self.command, parts.path, parse_qs(parts.query), headers, self.client_address[1]
            )
            with server.lock:
                server.seen.append(seen)
            self._reply(server.answer(seen))

        def do_HEAD(self) -> None:
            self.do_GET()

        def _reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            told = {"content-length": str(len(reply.body))} | {
                name.lower(): value for name, value in reply.headers.items()
            }
            for name, value in told.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD" and reply.status not in {204, 304}:
                self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """Clients that hang up are part of the tests."""

    httpd = Listener((host, 0), Handler)
    if tls:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
        server.scheme = "https"
    server.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
