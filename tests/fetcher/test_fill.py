"""FetchBlob, with everything that can go wrong between an upstream and a blob."""

import errno
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.fills import Epoch, Started
from common.messages import (
    Event,
    ExpireLink,
    FetchBlob,
    FillCommitted,
    FillFailed,
    FillStarted,
    Kind,
    Queue,
)
from common.owner import this_process
from common.reference import RepositoryName
from fetcher.spool import Spool
from tests.fetcher.rawserver import raw_serving, saying
from tests.fetcher.succession import take_over
from tests.fetcher.workbench import LIFETIME, Workbench, fetch, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import Corrupt, Cut, Fault, HoldBody, IgnoreRange, Stall, Status
from tests.waiting import until

LAYER = random.Random(7).randbytes(3 * 1024 * 1024 + 77)
SIZE = len(LAYER)
APP = RepositoryName("team/app")
OTHER = RepositoryName("team/other")
BLOBS = "*/blobs/*"


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Iterator[Workbench]:
    with workbench(tmp_path, default=upstream.url) as ready:
        yield ready


def bytes_sent(upstream: Upstream) -> int:
    """Of blobs, not of refusals."""
    return sum(exchange.sent for exchange in upstream.seen(BLOBS) if exchange.status < 300)


def ranges(upstream: Upstream) -> list[str]:
    """What part of a blob was asked for, each time."""
    return [exchange.headers.get("range", "") for exchange in upstream.seen(BLOBS, "GET")]


def assert_served(bench: Workbench, digest: Digest, content: bytes, *repositories: str) -> None:
    """The blob is there, right, and linked for exactly these; nothing else is left."""
    assert bench.data(digest) == content
    linked = {reference.repository for reference, _ in bench.storage.links.references(digest)}
    assert linked == set(repositories)
    for repository in repositories:
        assert bench.storage.links.has(Kind.LAYER, RepositoryName(repository), digest)
    assert bench.leftovers() == []


def test_a_blob_is_downloaded_once_committed_and_linked(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    job = fetch(APP, digest)

    assert bench.handle(job).settled == ["ack"]

    assert_served(bench, digest, LAYER, APP)
    assert bytes_sent(upstream) == SIZE
    assert bench.recorder.events == [
        FillStarted(key=job.key, digest=digest),
        # All has come: who waits need not wait for the disk.
        FillStarted(key=job.key, digest=digest),
        FillCommitted(key=job.key, digest=digest),
    ]
    expiry = ExpireLink(source=job.source, digest=digest, kind=Kind.LAYER)
    assert bench.recorder.published == [(Queue.EXPIRY, expiry, LIFETIME)]
    assert not os.path.exists(bench.storage.layout.fill(digest))


def test_what_is_linked_and_there_is_not_asked_for(bench: Workbench, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    bench.handle(fetch(APP, digest))
    asked = len(upstream.seen())

    bench.handle(fetch(APP, digest))

    assert len(upstream.seen()) == asked
    assert len(bench.recorder.of(FillCommitted)) == 2


@pytest.mark.parametrize(
    ("content", "algorithm"),
    [(b"", "sha256"), (b"", "sha512"), (b"x", "sha256"), (LAYER, "sha512")],
    ids=["nothing", "nothing by sha512", "one byte", "sha512"],
)
def test_every_size_and_algorithm_is_committed(
    bench: Workbench, upstream: Upstream, content: bytes, algorithm: str
) -> None:
    digest = upstream.add_blob(APP, content, algorithm)

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, content, APP)
    assert bench.recorder.of(FillFailed) == []


def test_a_blob_of_untold_size_is_filled_too(tmp_path: Path) -> None:
    digest = Digest.of(LAYER)
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + LAYER
    with (
        raw_serving(saying(answer)) as server,
        workbench(tmp_path, default=server.url) as bench,
    ):
        fill, seen = bench.fill(digest), list[tuple[Started | None, bool]]()

        def emit(event: Event) -> None:
            if isinstance(event, FillStarted):
                started = fill.started()
                seen.append((started, started is not None and fill.is_proven(started.epoch)))

        bench.recorder.emit = emit  # type: ignore[method-assign]
        bench.handle(fetch(APP, digest))

        ((started, _), _) = seen
        assert started is not None
        assert started.size is None
        assert seen == [(started, False), (started, True)]
        assert_served(bench, digest, LAYER, APP)


PASSING_FAULTS = {
    "cut short": (Cut(1_500_000), 1),
    "cut short four times": (Cut(300_000), 4),
    "reset": (Cut(1_000_000, reset=True), 1),
    "stalled": (Stall(2_000_000), 1),
    "cut before the first byte": (Cut(0), 1),
    "500": (Status(500), 1),
    "503 three times": (Status(503), 3),
    "429 with Retry-After": (Status(429, retry_after="1"), 1),
}


@pytest.mark.parametrize(("fault", "times"), PASSING_FAULTS.values(), ids=PASSING_FAULTS.keys())
def test_a_passing_fault_costs_no_byte_twice(
    tmp_path: Path, upstream: Upstream, fault: Fault, times: int
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, fault, times=times)
    read_timeout = 3.0 if isinstance(fault, Stall) else 20.0

    with workbench(tmp_path, read_timeout=read_timeout, default=upstream.url) as bench:
        bench.handle(fetch(APP, digest))

        assert_served(bench, digest, LAYER, APP)
        assert bench.recorder.of(FillFailed) == []
    # A reset throws away what the kernels still held.
    lost = SIZE * 0.3 if fault == Cut(1_000_000, reset=True) else 0
    assert SIZE <= bytes_sent(upstream) <= SIZE + lost


def test_an_upstream_s_wish_to_wait_is_respected(bench: Workbench, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Status(429, retry_after="3600"))

    event = bench.failure(fetch(APP, digest))

    assert (event.status, event.code, event.retry_after) == (503, "TOOMANYREQUESTS", 3600.0)
    assert event.retryable
    assert len(upstream.seen(method="GET")) == 1


@pytest.mark.parametrize("place", [0, SIZE // 2, SIZE - 1])
def test_corrupted_bytes_are_thrown_away_and_fetched_anew(
    bench: Workbench, upstream: Upstream, place: int
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Corrupt(place), times=1)

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP)
    assert bytes_sent(upstream) == 2 * SIZE


def test_corruption_before_a_resume_is_found_too(bench: Workbench, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Corrupt(10), times=1)
    upstream.fail(BLOBS, Cut(1_000_000), times=1)

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP)
    assert ranges(upstream) == ["", "bytes=1000000-", ""]


def test_an_upstream_that_cannot_do_ranges_sends_it_all_again(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Cut(1_000_000), times=1)
    upstream.fail(BLOBS, IgnoreRange())

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP)
    assert bytes_sent(upstream) == SIZE + 1_000_000


def test_an_upstream_that_always_breaks_without_progress_is_given_up(
    tmp_path: Path, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Cut(2_000_000))
    upstream.fail(BLOBS, IgnoreRange())

    with workbench(tmp_path, attempts=3, default=upstream.url) as bench:
        event = bench.failure(fetch(APP, digest))

        assert (event.status, event.retryable) == (502, True)
        # Each try brought megabytes, but none any that the first had not.
        assert len(upstream.seen(method="GET")) == 3
        assert bench.data(digest) is None


def test_progress_earns_more_tries_than_are_configured(tmp_path: Path, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Cut(1_100_000), times=2)

    with workbench(tmp_path, attempts=2, default=upstream.url) as bench:
        bench.handle(fetch(APP, digest))

        assert_served(bench, digest, LAYER, APP)


def test_a_blob_that_is_always_wrong_is_never_committed(tmp_path: Path, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Corrupt(5))

    with workbench(tmp_path, attempts=2, default=upstream.url) as bench:
        event = bench.failure(fetch(APP, digest))

        assert (event.status, event.code, event.retryable) == (502, "UNKNOWN", True)
        assert event.digest == digest
        assert bench.data(digest) is None
        assert not bench.storage.links.has(Kind.LAYER, APP, digest)
        assert bench.leftovers() == []


def test_a_blob_the_upstream_does_not_have_is_a_404_at_once(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.add_blob(APP, b"the repository exists")
    digest = Digest.of(b"nobody has this")

    event = bench.failure(fetch(APP, digest))

    assert (event.status, event.code, event.retryable) == (404, "BLOB_UNKNOWN", False)
    assert len(upstream.seen()) == 1
    assert bench.leftovers() == []
    assert list(bench.storage.links.references(digest)) == []


def test_an_upstream_nobody_configured_is_a_404(bench: Workbench) -> None:
    digest = Digest.of(LAYER)

    event = bench.failure(fetch("team/app", digest, upstream="elsewhere"))

    assert (event.status, event.code, event.retryable) == (404, "NAME_UNKNOWN", False)
    assert bench.leftovers() == []


def test_a_partial_spool_is_kept_for_the_next_pull_but_readers_are_not_sent_to_it(
    tmp_path: Path, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Cut(1_000_000), times=1)
    with workbench(tmp_path, attempts=1, default=upstream.url) as bench:
        bench.failure(fetch(APP, digest))

        fill = bench.fill(digest)
        assert [os.path.getsize(fill.spool(epoch)) for epoch in fill.spools()] == [1_000_000]
        assert fill.started() is None
        assert not fill.admits(APP)
        assert bench.data(digest) is None

        bench.handle(fetch(APP, digest))

        assert_served(bench, digest, LAYER, APP)
        assert bytes_sent(upstream) == SIZE


def test_a_fill_that_fails_gives_its_room_back(tmp_path: Path, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail(BLOBS, Cut(1_000_000))
    with workbench(tmp_path, attempts=1, default=upstream.url) as bench:
        fill = bench.fill(digest)
        fill.admit(APP)  # it is there, with room
        fill.allot(SIZE)
        assert fill.allotted() == SIZE
        bench.failure(fetch(APP, digest))
        assert fill.spools()
        assert fill.allotted() == 0


def test_a_spool_found_whole_is_committed_without_another_byte(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    leave_spool(bench, digest, Epoch(1, 1), LAYER)

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP)
    assert bytes_sent(upstream) == 0
    assert len(upstream.seen(method="HEAD")) == 1


@pytest.mark.parametrize("size", [1_000_000, SIZE, SIZE + 10], ids=["part", "whole", "too long"])
def test_a_wrong_spool_left_by_another_is_found_out(
    bench: Workbench, upstream: Upstream, size: int
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    leave_spool(bench, digest, Epoch(1, 1), b"\0" * size)

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP)


def test_the_longest_of_several_spools_is_gone_on_with(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    leave_spool(bench, digest, Epoch(1, 1), LAYER[:2_000_000])
    leave_spool(bench, digest, Epoch(2, 1), LAYER[:500_000])

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP)
    assert bytes_sent(upstream) == SIZE - 2_000_000


def leave_spool(bench: Workbench, digest: Digest, epoch: Epoch, content: bytes) -> None:
    fill = bench.fill(digest)
    os.makedirs(fill.folder, exist_ok=True)
    Path(fill.spool(epoch)).write_bytes(content)


def test_a_second_repository_is_linked_after_the_upstream_was_asked(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.add_blob(OTHER, LAYER)
    digest = upstream.add_blob(APP, LAYER)
    bench.handle(fetch(APP, digest))

    bench.handle(fetch(OTHER, digest))

    assert_served(bench, digest, LAYER, APP, OTHER)
    assert bytes_sent(upstream) == SIZE
    (asked,) = upstream.seen(method="HEAD")
    assert asked.path == f"/v2/{OTHER}/blobs/{digest}"


def test_a_repository_without_the_blob_gets_404_though_it_is_here(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    bench.handle(fetch(APP, digest))

    event = bench.failure(fetch(OTHER, digest))

    assert (event.status, event.code) == (404, "BLOB_UNKNOWN")
    assert_served(bench, digest, LAYER, APP)


def test_a_failed_membership_does_not_take_the_reference_of_a_link(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    bench.handle(fetch(APP, digest))

    bench.storage.withdraw(Kind.LAYER, APP, digest)

    assert_served(bench, digest, LAYER, APP)


def test_equal_digests_at_once_are_downloaded_once(tmp_path: Path, upstream: Upstream) -> None:
    repositories = [f"team/app{number}" for number in range(6)]
    (digest,) = {upstream.add_blob(name, LAYER) for name in repositories}
    with (
        workbench(tmp_path, default=upstream.url) as one,
        workbench(tmp_path, default=upstream.url) as two,
        ThreadPoolExecutor(12) as pool,
    ):
        # Each repository's job reaches both.
        jobs = [(bench, fetch(name, digest)) for name in repositories for bench in (one, two)]
        for settled in pool.map(lambda pair: pair[0].handle(pair[1]).settled, jobs):
            assert settled == ["ack"]

        assert_served(one, digest, LAYER, *repositories)
        assert bytes_sent(upstream) == SIZE
        committed = {
            event.key for bench in (one, two) for event in bench.recorder.of(FillCommitted)
        }
        assert committed == {job.key for _, job in jobs}
        assert one.recorder.of(FillFailed) == two.recorder.of(FillFailed) == []


@dataclass
class Running:
    """A fill for APP that stands at 1 MB until `finish`, and is then cut once at 2 MB."""

    digest: Digest
    hold: HoldBody
    thread: threading.Thread

    def finish(self) -> None:
        self.hold.release()
        self.thread.join()


@pytest.fixture
def running(bench: Workbench, upstream: Upstream) -> Iterator[Running]:
    digest = upstream.add_blob(APP, LAYER)
    hold = HoldBody(1_000_000)
    upstream.fail(BLOBS, hold, times=1)
    upstream.fail(BLOBS, Cut(2_000_000), times=1)
    thread = threading.Thread(target=bench.handle, args=(fetch(APP, digest),))
    thread.start()
    until(bench.fill(digest).started, what="the fill to start")
    fill = Running(digest, hold, thread)
    yield fill
    fill.finish()


def test_a_second_repository_joins_a_running_fill_and_is_linked_at_the_commit(
    bench: Workbench, upstream: Upstream, running: Running
) -> None:
    digest = running.digest
    upstream.add_blob(OTHER, LAYER)
    job = fetch(OTHER, digest)

    assert bench.handle(job).settled == ["ack"]

    assert bench.fill(digest).admits(OTHER)
    assert FillStarted(key=job.key, digest=digest) in bench.recorder.events
    assert not bench.storage.links.has(Kind.LAYER, OTHER, digest)
    running.finish()
    assert_served(bench, digest, LAYER, APP, OTHER)
    assert bytes_sent(upstream) == SIZE
    assert FillCommitted(key=job.key, digest=digest) in bench.recorder.events
    expiring = {
        message.source.repository
        for _, message, _ in bench.recorder.published
        if isinstance(message, ExpireLink)
    }
    assert expiring == {APP, OTHER}


def test_a_repository_without_the_blob_does_not_join(
    bench: Workbench, upstream: Upstream, running: Running
) -> None:
    digest = running.digest

    event = bench.failure(fetch(OTHER, digest))

    assert event.status == 404
    running.finish()
    assert_served(bench, digest, LAYER, APP)


def test_those_who_joined_a_fill_that_fails_get_jobs_of_their_own(
    bench: Workbench, upstream: Upstream, running: Running
) -> None:
    digest = running.digest
    upstream.add_blob(OTHER, LAYER)
    joined = fetch(OTHER, digest)
    bench.handle(joined)
    # Only the holder's repository loses the blob, between two tries.
    upstream.content.remove(APP, digest)
    running.finish()

    assert (Queue.INTERACTIVE, joined, 0.0) in bench.recorder.published
    (failed,) = bench.recorder.of(FillFailed)
    assert failed.key == fetch(APP, digest).key
    bench.handle(joined)
    assert_served(bench, digest, LAYER, OTHER)


def test_a_fill_that_is_told_to_stop_leaves_its_spool_to_a_successor(
    bench: Workbench, upstream: Upstream, tmp_path: Path
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    hold = HoldBody(1_000_000)
    upstream.fail(BLOBS, hold, times=1)
    with ThreadPoolExecutor(1) as pool:
        handled = pool.submit(bench.handle, fetch(APP, digest))
        before = until(bench.fill(digest).started, what="the fill to start")
        assert before is not None
        spool = before.spool
        until(lambda: os.path.getsize(spool) == 1_000_000, what="all that is sent for now")
        bench.stopping.set()
        hold.release()
        assert handled.result().settled == [0.0]

    assert bench.recorder.of(FillFailed) == []
    assert bench.fill(digest).started() == before, "readers stay where they are"
    assert bench.fill(digest).admits(APP)
    with workbench(tmp_path, default=upstream.url) as successor:
        successor.handle(fetch(APP, digest))
        assert_served(successor, digest, LAYER, APP)
    first, second = ranges(upstream)
    assert first == ""
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= 1_000_000


def test_a_holder_that_was_taken_over_leaves_the_fill_to_the_other(
    tmp_path: Path, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    hold = HoldBody(1_000_000)
    upstream.fail(BLOBS, hold, times=1)
    with workbench(tmp_path, default=upstream.url) as bench:
        with ThreadPoolExecutor(1) as pool:
            handled = pool.submit(bench.handle, fetch(APP, digest))
            started = until(bench.fill(digest).started, what="the fill to start")
            assert started is not None
            # What a successor does who thought us dead.
            taken = take_over(bench.fill(digest).folder)
            for lease in list(bench.leases._held):
                lease.beat()
            hold.release()
            assert handled.result(10).settled == ["ack"]

        # It has joined what it takes for the other's fill; nothing was committed or removed.
        assert bench.data(digest) is None
        assert bench.fill(digest).admits(APP)
        assert bench.recorder.of(FillFailed) == []
        assert taken.exists()


def test_who_was_taken_for_dead_after_its_commit_leaves_the_successors_fill_alone(
    bench: Workbench, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    fill = bench.fill(digest)
    link = bench.storage.links.add

    def sleep(*named: Any) -> None:
        """From the link on until a janitor has removed the blob and another fills it anew."""
        link(*named)
        take_over(fill.folder)
        Path(fill.spool(Epoch(2, 1))).write_bytes(LAYER[:1000])
        fill.start(Epoch(2, 1), SIZE)
        fill.admit(OTHER)

    monkeypatch.setattr(bench.storage.links, "add", sleep)
    assert bench.handle(fetch(APP, digest)).settled == ["ack"]

    assert fill.spools() == [Epoch(2, 1)]
    assert fill.started() == Started(Epoch(2, 1), SIZE, fill.spool(Epoch(2, 1)))
    assert fill.admits(OTHER)
    assert ExpireLink(source=fetch(APP, digest).source, digest=digest, kind=Kind.LAYER) in [
        message for _, message, _ in bench.recorder.published
    ]


def test_who_was_taken_for_dead_and_finds_no_room_gives_up_its_own_bytes_alone(
    bench: Workbench, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    fill = bench.fill(digest)

    def full(_spool: Spool, _total: int) -> None:
        take_over(fill.folder)
        Path(fill.spool(Epoch(2, 1))).write_bytes(LAYER[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Spool, "reserve", full)
    bench.failure(fetch(APP, digest))

    assert fill.spools() == [Epoch(2, 1)]


def test_a_commit_that_a_crash_cut_in_two_is_finished_by_the_redelivered_job(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.add_blob(OTHER, LAYER)
    digest = upstream.add_blob(APP, LAYER)
    # Renamed, not linked; OTHER's job was settled long ago.
    bench.storage.blobs.put(digest, LAYER)
    fill = bench.fill(digest)
    fill.admit(APP)
    fill.admit(OTHER)
    fill.start(Epoch(1, 1), SIZE)
    Path(fill.folder, "claim.1").write_bytes(dead_owner())

    bench.handle(fetch(APP, digest))

    assert_served(bench, digest, LAYER, APP, OTHER)
    assert upstream.seen() == []
    committed = {event.key for event in bench.recorder.of(FillCommitted)}
    assert committed == {fetch(APP, digest).key, fetch(OTHER, digest).key}


def dead_owner() -> bytes:
    return replace(this_process(), started="0").encode()


def test_storage_that_is_full_fails_with_503_and_keeps_nothing(
    bench: Workbench, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    full = os.write

    def write(fd: int, content: memoryview) -> int:
        if len(content) > 10_000:
            raise OSError(28, "No space left on device", "/some/where")
        return full(fd, content)

    monkeypatch.setattr("fetcher.spool.os.write", write)

    event = bench.failure(fetch(APP, digest))

    assert (event.status, event.code, event.retryable) == (503, "UNAVAILABLE", True)
    assert "/some/where" not in event.message
    assert bench.data(digest) is None
    assert bench.leftovers() == []


def test_a_blob_that_vanishes_while_it_is_being_linked_is_fetched_again(
    bench: Workbench, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.add_blob(OTHER, LAYER)
    digest = upstream.add_blob(APP, LAYER)
    bench.handle(fetch(APP, digest))
    add = type(bench.storage.links).add

    def vacuum_first(links: object, kind: Kind, repository: RepositoryName, of: Digest) -> None:
        monkeypatch.undo()
        os.unlink(bench.storage.layout.blob(digest))
        add(bench.storage.links, kind, repository, of)

    monkeypatch.setattr(type(bench.storage.links), "add", vacuum_first)
    bench.handle(fetch(OTHER, digest))

    assert_served(bench, digest, LAYER, APP, OTHER)


def test_repositories_of_named_upstreams_are_stored_under_the_name(
    tmp_path: Path, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    with workbench(tmp_path, hub=upstream.url) as bench:
        job: FetchBlob = fetch(APP, digest, upstream="hub")
        bench.handle(job)

        assert_served(bench, digest, LAYER, f"hub/{APP}")
        ((_, expiry, _),) = bench.recorder.published
        assert isinstance(expiry, ExpireLink)
        assert expiry.source == job.source
