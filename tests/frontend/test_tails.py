"""One fill being followed, and what its streams find out by themselves."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from common.blobstore import FileBlobStore, OpenBlob
from common.digest import Digest
from common.fills import Epoch, Fill
from common.messages import FetchBlob, FillFailed
from common.paths import Layout
from common.reference import RepositoryName
from common.source import DEFAULT_UPSTREAM, Source
from frontend.tails import Parts, Tail, Tails

SIZE = 1000
# Seconds in which nothing is to be told.
BRIEFLY = 0.05
JOB = FetchBlob(
    source=Source(DEFAULT_UPSTREAM, RepositoryName("team/app")), digest=Digest.of(b"whole")
)


def on_a_tail(
    test: Callable[[Tail, Path], Awaitable[None]],
) -> Callable[[Path], None]:
    """Run with a tail that nobody follows: only its streams look."""

    def runs(tmp_path: Path) -> None:
        async def run() -> None:
            spool = tmp_path / "spool"
            spool.touch()
            nothing: Any = None
            parts = Parts(Layout(str(tmp_path)), nothing, nothing, nothing)
            file = OpenBlob(os.open(spool, os.O_RDONLY), SIZE)
            await test(Tail(parts, JOB, SIZE, Epoch(1, 1), file), spool)

        asyncio.run(run())

    return runs


def grow(spool: Path, count: int) -> None:
    with spool.open("ab") as file:
        file.write(b"a" * count)


async def is_told(tail: Tail, within: float = 10.0) -> bool:
    try:
        await asyncio.wait_for(tail.news(), within)
    except TimeoutError:
        return False
    return True


@on_a_tail
async def test_one_that_has_sent_all_sees_for_itself_what_has_come(tail: Tail, spool: Path) -> None:
    tail.streams = 1
    assert not await is_told(tail, BRIEFLY)
    grow(spool, 10)
    assert await is_told(tail)
    assert tail.readable == 10
    assert not await is_told(tail, BRIEFLY)
    grow(spool, 2 * SIZE)
    assert await is_told(tail)
    assert tail.readable == SIZE


@on_a_tail
async def test_one_tells_the_others(tail: Tail, spool: Path) -> None:
    tail.streams = 2
    other = asyncio.create_task(is_told(tail))
    for _ in range(5):  # turns of the loop: it has looked then, and waits
        await asyncio.sleep(0)
    grow(spool, 10)
    await tail.news()
    assert await other


@on_a_tail
async def test_a_crowd_waits_to_be_told(tail: Tail, spool: Path) -> None:
    tail.streams = 100
    grow(spool, 10)
    assert not await is_told(tail, BRIEFLY)


@on_a_tail
async def test_a_spool_that_cannot_be_looked_at_is_the_tails_to_report(
    tail: Tail, spool: Path
) -> None:
    tail.streams = 1
    grow(spool, 10)
    tail.file.close()
    assert not await is_told(tail, BRIEFLY)


class Silent:
    """A desk at which nothing is heard."""

    def watch(self, _digest: Digest, _watcher: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: None


def test_one_that_is_found_when_it_was_about_to_be_forgotten_waits_for_the_stream(
    tmp_path: Path,
) -> None:
    layout, epoch = Layout(str(tmp_path)), Epoch(1, 1)
    fill = Fill(layout, JOB.digest)
    fill.admit(JOB.source.stored)
    fill.start(epoch, SIZE)
    Path(fill.spool(epoch)).touch()
    desk: Any = Silent()

    async def run() -> None:
        nothing: Any = None
        tails = Tails(Parts(layout, FileBlobStore(layout), nothing, desk))
        tail = tails.find(JOB)
        assert tail is not None
        tail._used_at -= 3600.0
        assert tails.find(JOB) is tail
        assert not tail._is_forgotten(asyncio.get_running_loop().time())

    asyncio.run(run())


class Committing:
    """Claims whose one holder commits, and lets go, just before it is asked after."""

    def __init__(self, blobs: FileBlobStore, content: bytes) -> None:
        self._blobs, self._content = blobs, content

    def is_held(self, _folder: str) -> bool:
        self._blobs.put(JOB.digest, self._content)
        return False


class Heard:
    """A desk at which the job's failure, of a try before, is heard at once."""

    def watch(self, digest: Digest, watcher: Callable[[Any], None]) -> Callable[[], None]:
        facts: dict[str, Any] = {"status": 502, "code": "UNKNOWN", "message": "before"}
        watcher(FillFailed(key=JOB.key, retryable=True, digest=digest, **facts))
        return lambda: None


def test_a_fill_that_is_committed_while_its_holder_is_looked_for_has_not_failed(
    tmp_path: Path,
) -> None:
    content, layout = b"whole", Layout(str(tmp_path))
    blobs = FileBlobStore(layout)
    claims: Any = Committing(blobs, content)
    desk: Any = Heard()
    spool = tmp_path / "spool"
    spool.write_bytes(content)

    async def run() -> Tail:
        file = OpenBlob(os.open(spool, os.O_RDONLY), len(content))
        parts = Parts(layout, blobs, claims, desk)
        tail = Tail(parts, JOB, len(content), Epoch(1, 1), file)
        await asyncio.wait_for(tail.follow(), 30)
        return tail

    tail = asyncio.run(run())
    assert not tail.failed
    assert tail.blob is not None
