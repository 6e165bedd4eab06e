"""Connections and their bounds, without an application behind."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

import pytest

from entrepot.console import server as module
from entrepot.console.server import Server
from entrepot.console.web import Refusal, Request, Response
from tests.waiting import until

REQUEST = b"GET /x?a=1&a=2&b=%3C HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Serving:
    """A server whose answers the test makes."""

    def __init__(self, answer: Callable[[Request], Response], connections: int = 64) -> None:
        self._server = Server(answer, _refuse, connections)

    @contextmanager
    def connected(self, request: bytes = b"") -> Iterator[socket.socket]:
        client, ours = socket.socketpair()
        with client:
            client.settimeout(20)
            client.sendall(request)
            self._server.take(ours)
            yield client

    def said(self, request: bytes = REQUEST) -> bytes:
        with self.connected(request) as client:
            return everything(client)


def _refuse(refusal: Refusal) -> Response:
    return Response(refusal.text.encode(), refusal.status, headers=refusal.headers)


def everything(client: socket.socket) -> bytes:
    answer = b""
    while piece := client.recv(1 << 16):
        answer += piece
    return answer


def test_a_request_is_taken_apart_and_its_answer_put_together() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(b"body", headers={"X": "y"})

    serving = Serving(answer)
    said = serving.said()
    assert said.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n")
    assert said.endswith(b"\r\nX: y\r\nConnection: close\r\n\r\nbody")
    serving.said(
        b"POST /y HTTP/1.1\r\nContent-Length: 9\r\n\r\nc=d+e&c=3 and what is not part of it"
    )
    assert [(each.method, each.path, each.query, each.form) for each in seen] == [
        ("GET", "/x", {"a": "1", "b": "<"}, {}),
        ("POST", "/y", {}, {"c": "d e"}),
    ]


def test_head_has_the_headers_and_no_body() -> None:
    said = Serving(lambda _: Response(b"body")).said(b"HEAD / HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 4\r\n" in said
    assert said.endswith(b"\r\n\r\n")


def test_what_breaks_is_told_without_saying_how() -> None:
    def answer(request: Request) -> Response:
        raise ZeroDivisionError("secret")

    serving = Serving(answer)
    for _ in range(3):
        said = serving.said()
        assert said.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in said


def test_beyond_so_many_connections_one_is_turned_away_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LINGER", 60.0)
    serving = Serving(lambda _: Response(b"body"), connections=2)
    with serving.connected() as first, serving.connected(), serving.connected() as third:
        assert everything(third).startswith(b"HTTP/1.1 503 ")
        before = time.monotonic()
        # It goes on holding its side open, and nobody waits for that.
        with serving.connected(REQUEST) as fourth:
            assert time.monotonic() - before < 20
            assert everything(fourth).startswith(b"HTTP/1.1 503 ")
        first.sendall(REQUEST)
        assert everything(first).endswith(b"body")


def test_no_more_than_a_few_answers_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    go_on = threading.Event()
    making = threading.Semaphore(0)

    def answer(request: Request) -> Response:
        making.release()
        go_on.wait(20)
        return Response(b"body")

    serving = Serving(answer)
    with ExitStack() as stack:
        first, *_ = [stack.enter_context(serving.connected(REQUEST)) for _ in range(4)]
        for _ in range(4):
            assert making.acquire(timeout=10)
        said = serving.said()
        assert said.startswith(f"HTTP/1.1 {HTTPStatus.SERVICE_UNAVAILABLE.value} ".encode())
        assert b"Retry-After: 5" in said
        go_on.set()
        assert everything(first).endswith(b"body")
    assert serving.said().endswith(b"body")


def test_who_keeps_a_connection_after_its_answer_is_left_after_a_second() -> None:
    serving = Serving(lambda _: Response(b"body"), connections=1)
    with serving.connected(REQUEST) as client:
        assert everything(client).endswith(b"body")
        until(lambda: _is_left(client), 10, "the server to have closed its side")
    # The place is given back a moment after the connection is closed.
    until(lambda: serving.said().endswith(b"body"), 10, "the place to be free")


def _is_left(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
    except BrokenPipeError:
        return True
    return False


class Pieces:
    """A stream that knows whether it was closed."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("request_", [REQUEST, REQUEST.replace(b"GET", b"HEAD")])
def test_a_stream_is_closed_whatever_becomes_of_it(request_: bytes) -> None:
    pieces = Pieces([b"a", b"b"])
    said = Serving(lambda _: Response(stream=pieces)).said(request_)
    assert said.endswith(b"\r\n\r\nab" if request_ == REQUEST else b"\r\n\r\n")
    assert b"Content-Length" not in said
    assert pieces.closed.wait(10)


def test_a_stream_whose_client_has_gone_is_closed() -> None:
    pieces = Pieces([b"x" * (1 << 20)] * 20)
    with Serving(lambda _: Response(stream=pieces)).connected(REQUEST):
        pass
    assert pieces.closed.wait(10)
