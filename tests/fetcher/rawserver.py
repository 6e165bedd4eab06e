"""A server that says exactly the bytes a test wants, however wrong they are."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Script = Callable[["Client"], None]


@dataclass
class RawServer:
    """A running one; `requests` are the heads received, `stop` is set when the test is over."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Client:
    """One accepted connection, for a script to speak on."""

    def __init__(self, sock: socket.socket, server: RawServer) -> None:
        self.sock = sock
        self.server = server

    def head(self) -> bytes:
        """Read one request's head; empty when the client hung up."""
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.sock.recv(65536)
            if not data:
                return b""
            head += data
        self.server.requests.append(head)
        return head

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def stall(self) -> None:
        """Say nothing more until the test is over."""
        self.server.stop.wait(30)

    def drip(self, data: bytes, every: float) -> None:
        """Say `data` byte by byte, `every` seconds, until the client or the test has enough."""
        for byte in data:
            if self.server.stop.wait(every):
                return
            self.say(bytes([byte]))

    def reset(self) -> None:
        """Break the connection with RST: unsent data is thrown away."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def then(*scripts: Script) -> Script:
    """The first connection gets the first script, and so on; the last one goes on for ever."""
    left = list(scripts)

    def run(client: Client) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(client)

    return run


def saying(answer: bytes) -> Script:
    """Answer each connection's first request so, and hang up."""

    def run(client: Client) -> None:
        client.head()
        client.say(answer)

    return run


@contextmanager
def raw_serving(script: Script) -> Iterator[RawServer]:
    """A server on a free port of the loopback, each connection handled by `script`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=32)
    server = RawServer(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def handle(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            script(Client(sock, server))
            # Half-close and read to the end, so that no RST overtakes what was said.
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
            while sock.recv(65536):
                pass

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                thread = threading.Thread(target=handle, args=(sock,))
                threads.append(thread)
                thread.start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        server.stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()
