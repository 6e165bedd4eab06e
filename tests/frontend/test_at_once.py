"""Answers that are given as soon as a request is read: a connection without its socket and its clock."""

import asyncio
import heapq
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from gunicorn.config import Config as GunicornConfig

from common.config import Document, load
from common.messages import Kind
from frontend.main import settings
from frontend.worker import Protocol, Worker
from tests.frontend.inprocess import House, house

KEEPALIVE = 15
CONFIGURATION = """
version: 0.1
storage: {filesystem: {rootdirectory: /nowhere}}
proxy: {remoteurl: "http://127.0.0.1:9"}
"""
IMAGE = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}'
OTHER_WAY = b"Keep-Alive: 9\r\n"
"""What changes nothing, but leaves a request to gunicorn."""


def get(path: str, more: bytes = b"", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n".encode() + more + b"\r\n"


PLAIN = get("/plain")


class Timer:
    def __init__(self, due: float, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.due, self._callback, self._args = due, callback, args
        self.cancelled = False

    def __lt__(self, other: "Timer") -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        self.cancelled = True

    def ring(self) -> None:
        if not self.cancelled:
            self._callback(*self._args)


class Clocked:
    """The running loop, with a clock that the test turns on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = 1000.0
        self._timers: list[Timer] = []
        self.set = 0

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> Timer:
        timer = Timer(self._now + delay, callback, args)
        heapq.heappush(self._timers, timer)
        self.set += 1
        return timer

    def turn_on(self, seconds: float) -> None:
        end = self._now + seconds
        while self._timers and self._timers[0].due <= end:
            timer = heapq.heappop(self._timers)
            self._now = timer.due
            timer.ring()
        self._now = end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Transport:
    """Takes what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


class Application:
    """Has one answer at once, and waits with the others until it may go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    def at_once(self, data: bytes) -> tuple[bytes, bytes] | None:
        return (b"a: b\r\n", b"at once") if data == PLAIN else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await self.goes_on.wait()
        body = f"answer {len(self.asked)}".encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Line:
    """A connection to `app`."""

    def __init__(self, app: Any) -> None:
        config = load(None, {}, Document("test.yml", CONFIGURATION)).config
        cfg = GunicornConfig()
        for name, value in settings(config).items():
            cfg.set(name, value)
        self.loop, self.transport = Clocked(), Transport()
        self.worker = Worker(0, 0, [], None, 60, cfg, Mock(access_log_enabled=False))
        self.worker.asgi, self.worker.loop = app, self.loop
        self.protocol = Protocol(self.worker)
        self.protocol.connection_made(self.transport)

    async def settled(self) -> None:
        """All that can go on has."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def send(self, *pieces: bytes) -> bytes:
        """What is answered to them, each of which comes by itself."""
        self.transport.written = b""
        for piece in pieces:
            await self.settled()
            self.protocol.data_received(piece)
        await self.settled()
        return self.transport.written

    def end(self) -> None:
        self.protocol.connection_lost(None)
        self.worker.tmp.close()


def on_a_line(test: Callable[[Line, Application], Awaitable[None]]) -> Callable[[], None]:
    async def run() -> None:
        app = Application()
        line = Line(app)
        try:
            await test(line, app)
        finally:
            line.end()
            await line.settled()

    def runs() -> None:
        asyncio.run(run())

    runs.__name__ = test.__name__
    return runs


@on_a_line
async def test_a_plain_request_is_answered_before_anything_else_happens(
    line: Line, app: Application
) -> None:
    await line.settled()
    line.protocol.data_received(PLAIN)
    assert line.transport.written.startswith(b"HTTP/1.1 200 OK\r\na: b\r\nServer: ")
    assert line.transport.written.endswith(b" GMT\r\n\r\nat once")
    assert app.asked == []


@on_a_line
async def test_others_are_answered_between_them(line: Line, app: Application) -> None:
    assert (await line.send(PLAIN)).endswith(b"at once")
    assert (await line.send(get("/1"))).endswith(b"answer 1")
    assert (await line.send(PLAIN)).endswith(b"at once")
    assert (await line.send(PLAIN, PLAIN)).count(b"at once") == 2
    assert (await line.send(get("/2"))).endswith(b"answer 2")
    assert app.asked == ["/1", "/2"]


@on_a_line
async def test_what_is_the_rest_of_a_request_is_not_taken_for_one(
    line: Line, app: Application
) -> None:
    assert (await line.send(b"GET /1 HTTP/1.1\r\nX: ", PLAIN)).endswith(b"answer 1")
    assert (await line.send(get("/2") + b"GET /3 HTTP/1.1\r\nX: ")).endswith(b"answer 2")
    assert (await line.send(PLAIN)).endswith(b"answer 3")
    assert app.asked == ["/1", "/2", "/3"]
    assert (await line.send(PLAIN)).endswith(b"at once")


@on_a_line
async def test_the_body_of_a_request_is_not_taken_for_one(line: Line, app: Application) -> None:
    length = f"Content-Length: {len(PLAIN)}\r\n".encode()
    assert b"at once" not in await line.send(get("/1", length), PLAIN, PLAIN)
    assert app.asked == ["/1"]
    assert line.transport.closed


@on_a_line
async def test_answers_come_in_the_order_of_the_requests(line: Line, app: Application) -> None:
    app.goes_on.clear()
    assert await line.send(get("/1"), PLAIN) == b""
    app.goes_on.set()
    await line.settled()
    assert re.findall(b"answer .", line.transport.written) == [b"answer 1", b"answer 2"]
    assert app.asked == ["/1", "/plain"]


@on_a_line
async def test_a_request_that_comes_just_behind_another_waits_for_it(
    line: Line, app: Application
) -> None:
    await line.settled()
    line.protocol.data_received(get("/1"))
    line.protocol.data_received(PLAIN)
    await line.settled()
    assert app.asked == ["/1", "/plain"]


@on_a_line
async def test_who_does_not_read_is_not_answered_at_once(line: Line, app: Application) -> None:
    await line.settled()
    line.protocol.pause_writing()
    assert (await line.send(PLAIN)).endswith(b"answer 1")
    line.protocol.resume_writing()
    assert (await line.send(PLAIN)).endswith(b"at once")


@on_a_line
async def test_at_the_end_the_application_answers(line: Line, app: Application) -> None:
    line.worker.alive = False
    assert b"\r\nConnection: close\r\n" in await line.send(PLAIN)
    assert line.transport.closed


@on_a_line
async def test_an_idle_connection_is_closed(line: Line, app: Application) -> None:
    await line.send(PLAIN)
    line.loop.turn_on(KEEPALIVE - 1)
    assert not line.transport.closed
    line.loop.turn_on(1)
    assert line.transport.closed


@pytest.mark.parametrize("first", [PLAIN, get("/1")])
def test_a_connection_in_use_is_not_closed(first: bytes) -> None:
    @on_a_line
    async def run(line: Line, app: Application) -> None:
        await line.send(first)
        for _ in range(20):
            line.loop.turn_on(KEEPALIVE - 1)
            assert (await line.send(PLAIN)).endswith(b"at once")
        line.loop.turn_on(KEEPALIVE - 1)
        app.goes_on.clear()
        await line.send(get("/2"))
        line.loop.turn_on(KEEPALIVE * 9)
        assert not line.transport.closed
        app.goes_on.set()
        await line.settled()
        line.loop.turn_on(KEEPALIVE)
        assert line.transport.closed

    run()


@on_a_line
async def test_a_request_that_is_answered_at_once_sets_no_timer(
    line: Line, app: Application
) -> None:
    await line.send(PLAIN)
    before = line.loop.set
    for _ in range(100):
        await line.send(PLAIN)
    assert line.loop.set == before


@on_a_line
async def test_who_has_asked_is_not_closed_for_not_having_asked(
    line: Line, app: Application
) -> None:
    for _ in range(10):
        await line.send(PLAIN)
        line.loop.turn_on(KEEPALIVE - 1)
    assert not line.transport.closed


@pytest.fixture
def at(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "root") as opened:
        yield opened


class Watched:
    """The lane, and how often it was asked by way of gunicorn."""

    def __init__(self, at: House) -> None:
        self._lane, self.at_once = at.lane, at.lane.at_once
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await self._lane(scope, receive, send)


def undated(answer: bytes) -> bytes:
    rest, dates = re.subn(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n", b"\r\n", answer)
    assert dates == 1
    return rest


def test_both_ways_write_the_same_bytes(at: House) -> None:
    blob, image = at.store(Kind.LAYER, b"small"), at.store(Kind.MANIFEST, IMAGE)
    elsewhere = at.store(Kind.LAYER, b"elsewhere", "ghcr.io/library/a")
    at.tag("1", image)
    paths = [f"blobs/{blob}", f"manifests/{image}", "manifests/1", f"blobs/{elsewhere}?ns=ghcr.io"]

    async def run() -> None:
        app = Watched(at)
        line = Line(app)
        for path in paths:
            for method in ("GET", "HEAD"):
                asked = get(f"/v2/library/a/{path}", OTHER_WAY, method)
                by_gunicorn = await line.send(asked)
                before = app.asked
                at_once = await line.send(asked.replace(OTHER_WAY, b""))
                assert app.asked == before
                assert at_once.startswith(b"HTTP/1.1 200 OK\r\n")
                assert undated(at_once) == undated(by_gunicorn)
        assert app.asked == 2 * len(paths)
        line.end()

    at.run(run())
