"""Bodies as the application gives them, with the connection in the test's hands."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.blobstore import OpenBlob
from frontend.fileparts import FilePart
from frontend.observing import Observed, Seen
from frontend.ranges import Span
from frontend.stream import Cut, of_blob

SIZE = 1_000_000


@pytest.fixture
def blob(tmp_path: Path) -> OpenBlob:
    path = tmp_path / "data"
    path.write_bytes(b"a" * SIZE)
    return OpenBlob(os.open(path, os.O_RDONLY), SIZE)


async def read_part(body: AsyncIterator[Any]) -> FilePart:
    part = await anext(body)
    assert isinstance(part, FilePart)
    return part


def test_a_blob_that_lost_its_bytes_is_reported_and_cut(blob: OpenBlob) -> None:
    reported: list[OpenBlob] = []

    async def run() -> None:
        body = of_blob(blob, Span(0, SIZE), reported.append)
        part = await read_part(body)
        part.position = 4096
        part.cut(OSError(errno.EIO, "lost"))
        with pytest.raises(Cut):
            await anext(body)

    asyncio.run(run())
    assert reported == [blob]
    assert blob.fd == -1


def test_a_part_that_falls_short_is_gone_on_with_and_then_cut(blob: OpenBlob) -> None:
    async def run() -> None:
        body = of_blob(blob, Span(10, SIZE), lambda _blob: pytest.fail("not damaged"))
        part = await read_part(body)
        part.position = 4096
        part.cut()
        part = await read_part(body)
        assert (part.start, part.end) == (4096, SIZE)
        part.cut()
        with pytest.raises(Cut):
            await anext(body)

    asyncio.run(run())
    assert blob.fd == -1


def test_of_a_part_that_was_cut_only_what_was_sent_is_counted(blob: OpenBlob) -> None:
    seen: list[Seen] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        part = FilePart(blob, 0, SIZE)
        await send({"type": "http.response.body", "body": part, "more_body": True})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            message["body"].position = 1234
            message["body"].cut()
            raise asyncio.CancelledError

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Observed(app, [seen.append])({}, None, send)

    asyncio.run(run())
    blob.close()
    assert [(one.sent, one.whole) for one in seen] == [(1234, False)]


@pytest.mark.parametrize(("length", "whole"), [(b"30", True), (b"31", False), (None, False)])
def test_a_client_that_leaves_as_soon_as_it_has_all_has_pulled_all(
    length: bytes | None, whole: bool
) -> None:
    seen: list[Seen] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [] if length is None else [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"a" * 10, "more_body": True})
        # So it ends where the connection is lost.
        raise asyncio.CancelledError

    async def send(_message: Any) -> None:
        """Taken."""

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Observed(app, [seen.append])({}, None, send)

    asyncio.run(run())
    assert [(one.sent, one.whole) for one in seen] == [(30, whole)]
