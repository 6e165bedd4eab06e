"""Sending a part of a file into a connection, where the file or the connection is not as it should."""

import asyncio
import errno
import gc
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop

from common.blobstore import OpenBlob
from frontend.fileparts import FilePart
from frontend.sending import Copying, Sendfile, Sending, Unreadable, Way
from tests.frontend.stage import random_bytes

SIZE = 3_000_001
CONTENT = random_bytes(SIZE)


class Connection(asyncio.Protocol):
    """One end, with a sending at work on it as `frontend.worker` has it."""

    def __init__(self) -> None:
        self.sending: Sending | None = None
        self.paused = False
        self.lost = asyncio.Event()

    def pause_writing(self) -> None:
        self.paused = True
        if self.sending is not None:
            self.sending.pause()

    def resume_writing(self) -> None:
        self.paused = False
        if self.sending is not None:
            self.sending.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.sending is not None:
            self.sending.stop()
        self.lost.set()


class Bench:
    """A connection, its other end, and a part of a file."""

    def __init__(self, transport: Any, connection: Connection, peer: socket.socket) -> None:
        self.transport, self.connection, self.peer = transport, connection, peer
        self.done = asyncio.Event()

    def send(self, part: FilePart, way: Way | None, head: bytes = b"head") -> None:
        self.connection.sending = Sending(
            self.transport, part, way, self.done.set, paused=self.connection.paused
        )
        self.connection.sending.start(head)

    async def receive(self, size: int) -> bytes:
        loop, parts = asyncio.get_running_loop(), []
        while size:
            part = await loop.sock_recv(self.peer, min(size, 1 << 18))
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


Scene = Callable[[Bench], Awaitable[None]]


def play(scene: Scene, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        ours, peer = socket.socketpair()
        peer.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, connection = await loop.connect_accepted_socket(Connection, ours)
        try:
            async with asyncio.timeout(60):
                await scene(Bench(transport, connection, peer))
        finally:
            transport.abort()
            await connection.lost.wait()
            peer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def stage_for(request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    return lambda scene: play(scene, request.param)


@pytest.fixture
def blob(tmp_path: Path) -> Iterator[OpenBlob]:
    path = tmp_path / "data"
    path.write_bytes(CONTENT)
    opened = OpenBlob(os.open(path, os.O_RDONLY), SIZE)
    yield opened
    opened.close()


def never_cached(_part: FilePart, _size: int, _socket: int) -> int | None:
    return None


def unreadable(_part: FilePart, _size: int, _socket: int) -> int | None:
    raise Unreadable(OSError(errno.EIO, "lost"))


@pytest.mark.parametrize("way", [Sendfile(), Copying(), never_cached, None])
def test_every_way_sends_exactly_the_part(
    stage_for: Callable[[Scene], None], blob: OpenBlob, way: Way | None
) -> None:
    async def scene(bench: Bench) -> None:
        part = FilePart(blob, 5, SIZE - 5)
        bench.send(part, way)
        assert await bench.receive(4) == b"head"
        assert await bench.receive(SIZE - 10) == CONTENT[5:-5]
        await bench.done.wait()
        assert (len(part), part.error) == (SIZE - 10, None)

    stage_for(scene)


@pytest.mark.parametrize("way", [Sendfile(), Copying(), None])
@pytest.mark.parametrize("times", [60_000, 500_000])
def test_what_the_transport_still_holds_goes_first(
    stage_for: Callable[[Scene], None], blob: OpenBlob, way: Way | None, times: int
) -> None:
    async def scene(bench: Bench) -> None:
        before = b"before" * times
        bench.transport.write(before)
        bench.send(FilePart(blob, 0, SIZE), way)
        assert await bench.receive(len(before)) == before
        assert await bench.receive(4 + SIZE) == b"head" + CONTENT
        await bench.done.wait()

    stage_for(scene)


@pytest.mark.parametrize("way", [Sendfile(), Copying(), never_cached, None])
def test_a_file_that_ends_early_ends_the_part(
    stage_for: Callable[[Scene], None], blob: OpenBlob, way: Way | None
) -> None:
    async def scene(bench: Bench) -> None:
        part = FilePart(blob, 0, SIZE + 100_000)
        bench.send(part, way)
        assert await bench.receive(4 + SIZE) == b"head" + CONTENT
        await bench.done.wait()
        assert (len(part), part.error) == (SIZE, None)

    stage_for(scene)


def test_a_file_that_cannot_be_read_says_why(
    stage_for: Callable[[Scene], None], blob: OpenBlob
) -> None:
    async def scene(bench: Bench) -> None:
        part = FilePart(blob, 0, SIZE)
        bench.send(part, unreadable)
        await bench.done.wait()
        assert len(part) == 0
        assert part.error is not None
        assert part.error.errno == errno.EIO

    stage_for(scene)


@pytest.mark.parametrize("way", [Sendfile(), Copying(), never_cached, None])
def test_a_closed_file_is_never_read_again(
    stage_for: Callable[[Scene], None], blob: OpenBlob, way: Way | None
) -> None:
    # Its number may be another file's by now: not a byte of that one.
    async def scene(bench: Bench) -> None:
        part, zero = FilePart(blob, 0, SIZE), os.open("/dev/zero", os.O_RDONLY)
        bench.send(part, way)
        # As OpenBlob.close does it, and in one step the other file gets the number.
        number, blob.fd = blob.fd, -1
        os.dup2(zero, number)
        try:
            closing = asyncio.create_task(bench.receive(4 + SIZE))
            await asyncio.wait(
                {closing, asyncio.create_task(bench.done.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
            bench.transport.abort()
            assert CONTENT.startswith((await closing)[4:])
        finally:
            os.close(number)
            os.close(zero)

    stage_for(scene)


@pytest.mark.parametrize("way", [never_cached, None])
def test_what_a_thread_read_of_another_file_is_not_sent(
    stage_for: Callable[[Scene], None],
    blob: OpenBlob,
    way: Way | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frontend.sending.is_cached", lambda *_: False)

    async def scene(bench: Bench) -> None:
        loop, busy = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        before = loop.run_in_executor(None, busy.wait)
        part, zero = FilePart(blob, 0, SIZE), os.open("/dev/zero", os.O_RDONLY)
        bench.send(part, way)
        # Closed while the thread is about to read, and the number is another file's at once.
        number, blob.fd = blob.fd, -1
        os.dup2(zero, number)
        try:
            busy.set()
            await before
            await bench.done.wait()
            assert len(part) == 0
            assert part.error is not None
            assert part.error.errno == errno.EBADF
        finally:
            os.close(number)
            os.close(zero)

    stage_for(scene)


def test_a_client_that_leaves_stops_it(stage_for: Callable[[Scene], None], blob: OpenBlob) -> None:
    async def scene(bench: Bench) -> None:
        part = FilePart(blob, 0, SIZE)
        bench.send(part, Sendfile())
        await bench.receive(100)
        bench.peer.close()
        await bench.connection.lost.wait()
        assert not bench.done.is_set()
        assert 0 < len(part) < SIZE

    stage_for(scene)


def test_a_client_that_leaves_while_a_thread_reads_is_no_error(
    stage_for: Callable[[Scene], None], blob: OpenBlob
) -> None:
    async def scene(bench: Bench) -> None:
        loop, told = asyncio.get_running_loop(), list[Any]()
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = threading.Event()
        before = loop.run_in_executor(None, busy.wait)
        bench.send(FilePart(blob, 0, SIZE), never_cached)
        bench.transport.abort()
        await bench.connection.lost.wait()
        blob.close()
        busy.set()
        await before
        await loop.run_in_executor(None, gc.collect)  # behind the read
        await asyncio.sleep(0)
        gc.collect()
        assert told == []

    stage_for(scene)


def test_nothing_is_written_once_the_transport_is_closing(
    stage_for: Callable[[Scene], None], blob: OpenBlob
) -> None:
    async def scene(bench: Bench) -> None:
        part = FilePart(blob, 0, SIZE)
        bench.transport.abort()
        bench.send(part, Sendfile(), b"")
        await bench.connection.lost.wait()
        assert len(part) == 0
        assert await bench.receive(1) == b""

    stage_for(scene)
