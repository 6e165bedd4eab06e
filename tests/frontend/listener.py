"""A webhook's receiver: a real HTTP server that keeps what it is sent, and refuses as told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Envelope:
    """One POST."""

    path: str
    headers: dict[str, str]
    events: list[dict[str, Any]]


@dataclass
class Listener:
    """What came; `refusals` of the next requests are answered 500, `hold` makes them wait."""

    port: int = 0
    refusals: int = 0
    tries: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.port}/callback?token=hush-hush"

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events, in the order they came."""
        return [event for envelope in self.envelopes for event in envelope.events]

    def take(self, envelope: Envelope) -> bool:
        """Whether it is taken."""
        self.tries += 1
        if self.refusals > 0:
            self.refusals -= 1
            return False
        self.envelopes.append(envelope)
        return True


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a free port."""
    listener = Listener()
    listener.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.hold.wait(30)
            fields = {name.lower(): value for name, value in self.headers.items()}
            envelope = Envelope(self.path, fields, json.loads(body)["events"])
            self.send_response(200 if listener.take(envelope) else 500)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    listener.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield listener
    listener.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()
