"""Requests whose body does not come, or comes late, or is broken: nobody here reads one."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.digest import Digest
from tests.frontend.flood import Request
from tests.frontend.stage import Filling, Stage, random_bytes, stage

CONNECTIONS = 20
REPOSITORY = "library/alpine"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("half") / "root"
    with stage(root, frontend={"connections": CONNECTIONS}) as opened:
        yield opened


def start(front: Stage, method: str, path: str, *headers: str) -> socket.socket:
    """A request's head, and the connection on which its body is to come."""
    connection = socket.create_connection(("127.0.0.1", front.port), timeout=30)
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *headers])
    connection.sendall(f"{head}\r\n\r\n".encode())
    return connection


def head_of(connection: socket.socket) -> bytes:
    """What is answered, as far as the end of its head."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65536)
        assert part, answer
        answer += part
    return answer


def rest_of(connection: socket.socket) -> bytes:
    """What is still to come, to the end of the connection."""
    rest = b""
    while part := connection.recv(65536):
        rest += part
    return rest


FRAMES = [
    "Content-Length: 1000000",
    "Content-Length: 999999999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("method", "status"), [("GET", b"200"), ("POST", b"405")])
def test_a_request_is_answered_before_its_body_is_here(
    front: Stage, method: str, status: bytes, frame: str
) -> None:
    with start(front, method, "/v2/", frame) as connection:
        answer = head_of(connection)
        assert answer.split()[1] == status
        assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_half_requests_leave_room_for_who_asks(front: Stage, method: str, frame: str) -> None:
    digest = front.store_blob(REPOSITORY, b"cached")
    half = [start(front, method, "/v2/", frame) for _ in range(CONNECTIONS)]
    try:
        for connection in half:
            head_of(connection)
        answer = Request(front.port, f"/v2/{REPOSITORY}/blobs/{digest}", "127.0.0.3").answer()
        assert (answer.status, answer.body) == (200, b"cached")
    finally:
        for connection in half:
            connection.close()


def test_a_body_that_comes_after_the_answer_costs_nobody_the_answer(front: Stage) -> None:
    # Closed at once, the connection would be reset by the body, and the answer lost with it.
    size = 4_000_000
    path = f"/v2/{REPOSITORY}/blobs/uploads/"
    with start(front, "PUT", path, f"Content-Length: {size}") as connection:
        answer = head_of(connection)
        connection.sendall(b"x" * size)
        assert (answer + rest_of(connection)).split()[1] == b"405"


@pytest.mark.parametrize(
    "body", ["Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
def test_a_request_that_comes_with_its_body_is_the_last_one(front: Stage, body: str) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=30) as connection:
        for frame in ("Content-Length: 0\r\n\r\n", body):
            connection.sendall(f"POST /v2/ HTTP/1.1\r\nHost: a\r\n{frame}".encode())
            answer = head_of(connection)
            assert answer.split()[1] == b"405"
            assert (b"Connection: close" in answer) == (frame == body)
        assert rest_of(connection) == b""


def test_a_connection_waits_only_so_long_for_the_rest_of_a_body(front: Stage) -> None:
    # Many at once that send all the time: for some, something comes just when the time is over.
    with ThreadPoolExecutor(CONNECTIONS) as clients:
        assert all(clients.map(lambda _: is_closed_on_who_sends_on(front), range(CONNECTIONS)))


def is_closed_on_who_sends_on(front: Stage) -> bool:
    """Whether a client that goes on sending a body without end is cut off in less than 15 s."""
    with start(front, "GET", "/v2/", f"Content-Length: {10**12}") as connection:
        head_of(connection)
        deadline = time.monotonic() + 15
        try:
            while time.monotonic() < deadline:
                connection.send(b"x" * 1000)
        except ConnectionError:
            return True
    return False


def test_what_is_wrong_with_a_body_is_not_said_in_the_midst_of_an_answer(front: Stage) -> None:
    content = random_bytes(300_000)
    filling = Filling(front, Digest.of(content), REPOSITORY, len(content))
    filling.write(content[:200_000])
    path = f"/v2/{REPOSITORY}/blobs/{filling.digest}"
    with start(front, "GET", path, "Transfer-Encoding: chunked") as connection:
        body = head_of(connection).partition(b"\r\n\r\n")[2] or connection.recv(1)
        connection.sendall(b"not a chunk's size\r\n")
        body += rest_of(connection)
    filling.abandon()
    assert content.startswith(body)
