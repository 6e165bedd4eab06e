"""One fill being followed, and what its streams find out by themselves."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from common.blobstore import OpenBlob
from common.digest import Digest
from common.fills import Epoch
from common.messages import FetchBlob
from common.paths import Layout
from common.reference import RepositoryName
from common.source import DEFAULT_UPSTREAM, Source
from frontend.tails import Parts, Tail

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
