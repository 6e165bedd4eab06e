"""Connections handed from one process to another, on real sockets."""

import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.debug import Reply, Server, listen
from common.debug.handing import Receiver, hand_over, path_of
from tests.common.test_debug_server import ask
from tests.waiting import until


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection: what the kernel holds back for a reader differs by family."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


@contextmanager
def echoing(path: str) -> Iterator[list[socket.socket]]:
    """Somebody who takes connections, answers each with its request, and keeps a list."""
    taken: list[socket.socket] = []

    def take(connection: socket.socket) -> None:
        taken.append(connection)
        with connection:
            connection.settimeout(5)
            said = connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + said)

    receiver = Receiver(path, take)
    yield taken
    receiver.close()


def test_the_path_is_seen_and_the_request_stays_unread(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"GET /some/page?x=/other HTTP/1.1\r\nHost: x\r\n\r\n")
    assert path_of(server, 5) == "/some/page"
    assert server.recv(1000).startswith(b"GET /some/page?x=/other")


def test_a_path_that_comes_in_pieces_is_waited_for_without_turning_in_circles(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"GET /so")
    found: list[str | None] = []
    before = time.process_time()
    looking = threading.Thread(target=lambda: found.append(path_of(server, 5)))
    looking.start()
    looking.join(0.3)
    assert looking.is_alive()
    assert time.process_time() - before < 0.2
    client.sendall(b"me HTTP/1.1\r\n")
    looking.join(5)
    assert found == ["/some"]
    # And what follows is given out as it comes again.
    client.sendall(b"\r\n")
    assert server.recv(1000).endswith(b"\r\n")


def test_who_says_nothing_or_leaves_has_no_path(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    assert path_of(server, 0.05) is None
    client.sendall(b"GET")
    client.shutdown(socket.SHUT_WR)
    assert path_of(server, 5) is None


def test_a_first_line_without_an_end_is_looked_at_no_further_than_it_matters(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"GET /" + b"x" * 5000)
    assert path_of(server, 5) == "/" + "x" * (2048 - len("GET /"))


def test_a_connection_goes_on_with_who_it_was_handed_to(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    with echoing(f"{tmp_path}/way"):
        client.sendall(b"GET /page HTTP/1.1\r\n\r\n")
        assert path_of(server, 5) == "/page"
        assert hand_over(f"{tmp_path}/way", server)
        server.close()
        client.settimeout(5)
        until(lambda: client.recv(1000, socket.MSG_PEEK).endswith(b"\r\n\r\n"))
        assert client.recv(1000).endswith(b"GET /page HTTP/1.1\r\n\r\n")
        assert client.recv(1000) == b""


def test_where_nobody_takes_it_it_stays_with_us(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    with echoing(f"{tmp_path}/way"):
        pass
    assert not hand_over(f"{tmp_path}/way", server)
    assert not hand_over(f"{tmp_path}/never", server)
    server.sendall(b"still here")
    assert client.recv(100) == b"still here"


def test_a_successor_takes_the_place_of_one_that_was_killed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(f"{tmp_path}/way")
    with echoing(f"{tmp_path}/way"):
        assert os.stat(f"{tmp_path}/way").st_mode & 0o777 == 0o600


def test_a_debug_server_answers_its_own_pages_and_hands_on_the_rest(tmp_path: Path) -> None:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    absent = Reply(b"not now", 503, "text/plain")
    server = Server(
        listener,
        {"/page": lambda: Reply(b"own")},
        lambda connection: hand_over(f"{tmp_path}/way", connection),
        absent,
    )
    server.start()
    try:
        assert ask(port, "/page") == (200, b"own")
        assert ask(port, "/other") == (503, b"not now")
        with echoing(f"{tmp_path}/way"):
            url = f"http://127.0.0.1:{port}/other?x=y"
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.read().startswith(b"GET /other?x=y HTTP/1.1")
            assert ask(port, "/page") == (200, b"own")
    finally:
        server.close()
