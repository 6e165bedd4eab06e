"""One blob by several connections at once, through the whole machine."""

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.digest import Digest
from common.fills import Fill
from tests.parts.counting import Upstream
from tests.parts.faults import Corrupt, Cut, Fault, IgnoreRange, Status, Throttle
from tests.parts.process import Process
from tests.parts.ranged import FromByte, starts
from tests.system.cluster import Cluster, Got, cluster
from tests.waiting import until

MEGABYTE = 1_000_000
SEGMENT = 1 << 20
SEGMENTS = 4
SIZE = 24 * MEGABYTE
APP = "library/app"


@pytest.fixture
def cache(tmp_path: Path, upstream: Upstream, queue_url: str | None) -> Iterator[Cluster]:
    fetcher = {"segments": SEGMENTS, "segmentsize": SEGMENT}
    with cluster(tmp_path / "cache", upstream.url, queue_url, fetcher=fetcher) as running:
        yield running


@pytest.fixture
def digest(upstream: Upstream) -> Digest:
    return upstream.add_blob(APP, random.Random(3).randbytes(SIZE))


def assert_right(answers: list[Got], digest: Digest) -> None:
    assert {(got.status, got.digest, got.cut) for got in answers} == {(200, digest, False)}


def test_a_crowd_gets_a_blob_that_comes_in_parts_once(
    cache: Cluster,
    upstream: Upstream,
    digest: Digest,
    record_property: Callable[[str, object], None],
) -> None:
    upstream.fail("*/blobs/*", Throttle(4 * MEGABYTE))
    assert_right(cache.crowd(24, APP, digest), digest)
    parts = starts(upstream.seen(f"*/blobs/{digest}", "GET"))
    assert len(parts) > SEGMENTS
    assert len(set(parts)) == len(parts)
    until(lambda: upstream.sent(f"*/blobs/{digest}") == SIZE, what="each byte sent once")
    record_property("requests", len(parts))


def test_a_holder_killed_amid_its_parts_costs_nobody_their_pull(
    cache: Cluster, upstream: Upstream, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", Throttle(2 * MEGABYTE))
    path = f"*/blobs/{digest}"
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(cache.blob, APP, digest) for _ in range(8)]
        holder = cache.holder(digest)
        until(lambda: len(upstream.seen(path, "GET")) > SEGMENTS, 20, "parts beside one another")
        held = held_at_the_death(cache, holder, digest)
        assert_right([answer.result(60) for answer in answers], digest)
    asked = starts(upstream.seen(path, "GET"))
    # The successor goes on where the spool ended. What was in it is not asked for again; what
    # was in memory is.
    assert held in asked
    within = [start for start in asked if start < held]
    assert len(set(within)) == len(within)


def held_at_the_death(cache: Cluster, holder: Process, digest: Digest) -> int:
    """The length of the spool, to which nobody adds once its holder is dead."""
    fill = Fill(cache.layout, digest)
    (epoch,) = fill.spools()
    # Opened before, so that it is this one even when a successor has copied and removed it.
    with open(fill.spool(epoch), "rb") as spool:
        holder.kill()
        return spool.seek(0, os.SEEK_END)


WRONGS: dict[str, Fault] = {
    "200": IgnoreRange(),
    "429": Status(429, retry_after="1"),
    "500": Status(500),
    "cut": Cut(200_000),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_parts_that_go_wrong_cost_nobody_their_pull(
    cache: Cluster, upstream: Upstream, digest: Digest, wrong: str
) -> None:
    upstream.fail("*/blobs/*", Throttle(4 * MEGABYTE))
    # The first is as it should be, the next three are not.
    upstream.fail("*/blobs/*", FromByte(1, WRONGS[wrong]), times=4)
    assert_right(cache.crowd(8, APP, digest), digest)


def test_a_corrupt_part_is_never_a_complete_blob(
    cache: Cluster, upstream: Upstream, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", Throttle(4 * MEGABYTE))
    upstream.fail("*/blobs/*", FromByte(1, Corrupt(1000)), times=4)
    for got in cache.crowd(8, APP, digest):
        assert got.cut or got.digest == digest
    assert_right([cache.blob(APP, digest)], digest)
