"""Far too many at the console: it stays within its bounds, and clients of the cache notice nothing."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.console.house import House, house, publish
from tests.waiting import until

AT_ONCE = 200
# What is beside the threads of connections: the process' own, and a page that is being left.
OTHERS = 24


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@contextmanager
def flood(built: House) -> Iterator[None]:
    """So many visitors, each of whom comes again as soon as it is answered or turned away."""
    over = threading.Event()
    host, port = built.debug.split(":")

    def visit(number: int) -> None:
        path = (b"/", b"/cached", b"/events?of=overview-1", b"/queue")[number % 4]
        while not over.is_set():
            with suppress(OSError), socket.create_connection((host, int(port)), 2) as connection:
                connection.settimeout(0.5)
                connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
                while not over.is_set() and connection.recv(1 << 16):
                    pass
            over.wait(0.05)

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(AT_ONCE)]
    for visitor in visitors:
        visitor.start()
    try:
        yield
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()


def test_a_flood_at_the_console_does_not_reach_those_who_pull(tmp_path: Path) -> None:
    with house(tmp_path) as built:
        layers = [random.Random(number).randbytes(30_000) for number in range(8)]
        publish(built.upstream, "library/app", "1", layers)
        built.pull_image("library/app", "1")
        built.upstream.stop()
        console = built.console()
        most = 0
        with flood(built):
            until(lambda: threads_of(console) > 16, 20, "the flood to arrive")
            for _ in range(40):
                built.pull_image("library/app", "1")
                most = max(most, threads_of(console))
        assert most <= 64 + OTHERS
        assert built.console() == console
        until(lambda: built.status("/") == 200, 30, "the console to be there for others again")
        until(lambda: threads_of(console) <= OTHERS, 30, "all visitors to have left")


def test_who_holds_on_to_the_console_is_let_go_of(tmp_path: Path) -> None:
    with house(tmp_path, "console") as built, ExitStack() as stack:
        host, port = built.debug.split(":")
        # A request that is never finished has ten seconds.
        silent = [
            stack.enter_context(socket.create_connection((host, int(port)), 20)) for _ in range(8)
        ]
        for connection in silent:
            connection.sendall(b"GET /cached HTTP/1.1\r\nHost: local")
        assert built.status("/") == 200
        assert [connection.recv(1) for connection in silent] == [b""] * 8


def test_a_request_beyond_its_bounds_is_refused_in_words(tmp_path: Path) -> None:
    with house(tmp_path, "console") as built:
        host, port = built.debug.split(":")
        for request, status in {
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000: b"431",
            b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 20_000): b"431",
            b"GET / \r\n\r\n": b"400",
            b"PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n": b"405",
            b"POST /evict HTTP/1.1\r\nHost: localhost\r\n\r\n": b"411",
            b"POST /evict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n": b"413",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n": b"405",
            b"GET /cached/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n": b"404",
            b"GET /cached/%2e%2e%2fetc HTTP/1.1\r\nHost: localhost\r\n\r\n": b"404",
            b"GET /static/x/..%2fmain.py HTTP/1.1\r\nHost: localhost\r\n\r\n": b"404",
        }.items():
            with socket.create_connection((host, int(port)), 5) as connection:
                connection.sendall(request)
                answer = b""
                while piece := connection.recv(1 << 16):
                    answer += piece
            assert answer.startswith(b"HTTP/1.1 " + status), (request[:60], answer[:60])
            assert b"Content-Security-Policy: default-src 'none';" in answer
