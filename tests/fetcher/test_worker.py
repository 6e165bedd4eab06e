import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import (
    CheckBlob,
    Event,
    ExpireTag,
    FetchBlob,
    FillCommitted,
    FillDropped,
    FillFailed,
    Kind,
    Queue,
    StorageFull,
)
from common.reference import RepositoryName, Tag
from common.source import Source
from tests.fetcher.workbench import Handed, Workbench, fetch, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import Status

APP = RepositoryName("team/app")
SOURCE = Source("", APP)


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Iterator[Workbench]:
    with workbench(tmp_path, attempts=1, default=upstream.url) as ready:
        yield ready


def test_what_is_no_job_is_rejected(bench: Workbench) -> None:
    expiry = ExpireTag(source=SOURCE, tag=Tag("latest"))

    assert bench.handle(expiry).settled == ["rejected: no work for a fetcher"]
    assert bench.recorder.events == []


def test_a_failed_job_somebody_waits_for_is_told_and_settled(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.fail("*", Status(500))
    job = fetch(APP, Digest.of(b"x"))

    assert bench.handle(job).settled == ["ack"]
    assert len(bench.recorder.of(FillFailed)) == 1


def test_a_failed_prefetch_is_not_tried_again_and_is_nobodys_answer(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.fail("*", Status(500))
    job = fetch(APP, Digest.of(b"x"))

    assert bench.handle(job, queue=Queue.PREFETCH).settled == ["ack"]
    assert bench.recorder.events == [FillDropped(key=job.key, digest=job.digest)]


def test_a_prefetch_of_what_is_not_there_is_forgotten_when_a_client_asks(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = Digest.of(b"late")
    assert bench.handle(fetch(APP, digest), queue=Queue.PREFETCH).settled == ["ack"]
    upstream.add_blob(APP, b"late")

    bench.handle(fetch(APP, digest))

    assert bench.data(digest) == b"late"
    assert bench.recorder.of(FillFailed) == []


def test_a_prefetch_that_breaks_us_is_not_tried_again(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.jobs, "do", broken)
    job = fetch(APP, Digest.of(b"x"))

    assert bench.handle(job, queue=Queue.PREFETCH).settled == ["ack"]
    assert bench.recorder.of(FillFailed) == []


def test_a_prefetch_that_finds_no_room_has_none_made(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bench.jobs, "do", full)
    job = fetch(APP, Digest.of(b"x"))

    assert bench.handle(job, queue=Queue.PREFETCH).settled == ["ack"]
    assert bench.recorder.of(StorageFull) == []


def test_a_job_that_breaks_us_is_told_without_details_and_tried_again(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr(bench.jobs, "do", broken)
    job = fetch(APP, Digest.of(b"x"))

    assert bench.handle(job, attempt=2).settled == [10.0]
    (event,) = bench.recorder.of(FillFailed)
    assert (event.status, event.code, event.retryable) == (500, "UNKNOWN", True)
    assert "hunter2" not in event.message


def test_storage_that_cannot_be_written_is_503(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system", "/secret/place")

    monkeypatch.setattr(bench.jobs, "do", read_only)

    event = bench.failure(fetch(APP, Digest.of(b"x")))

    assert (event.status, event.message) == (503, "storage: Read-only file system")
    assert bench.recorder.of(StorageFull) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_storage_without_room_is_503_and_the_janitors_are_told(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/secret/place")

    monkeypatch.setattr(bench.jobs, "do", full)

    event = bench.failure(fetch(APP, Digest.of(b"x")))

    assert (event.status, event.code) == (503, "UNAVAILABLE")
    assert event.message == f"storage: {os.strerror(number)}"
    assert len(bench.recorder.of(StorageFull)) == 1


def test_a_job_that_is_at_work_elsewhere_is_left_to_it(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, b"x")
    job = fetch(APP, digest)
    with bench.leases.hold(bench.storage.layout.claim(job.key)):
        assert bench.handle(job).settled == ["ack"]

    assert bench.recorder.events == []
    assert upstream.seen() == []


def test_a_failure_is_told_only_when_a_new_job_for_the_same_would_run(
    bench: Workbench, upstream: Upstream
) -> None:
    job = CheckBlob(source=SOURCE, digest=Digest.of(b"x"))
    handed = Handed(job)
    seen: list[tuple[bool, bool]] = []

    def emit(event: Event) -> None:
        held = bench.leases.is_held(bench.storage.layout.claim(job.key))
        seen.append((held, handed.settled == ["ack"]))

    bench.recorder.emit = emit  # type: ignore[method-assign]
    bench.worker.handle(handed)

    assert seen == [(False, True)]


def test_equal_questions_at_once_are_all_answered(
    tmp_path: Path, bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, b"x" * 99)
    job = CheckBlob(source=SOURCE, digest=digest)
    with ThreadPoolExecutor(8) as pool:
        settled = list(pool.map(lambda _: bench.handle(job).settled, range(8)))

    assert settled == [["ack"]] * 8
    answers = bench.recorder.of(FillCommitted)
    assert set(answers) == {FillCommitted(key=job.key, size=99)}
    assert len(answers) == len(upstream.seen())


def test_a_job_done_twice_does_no_harm(bench: Workbench, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, b"x")
    job: FetchBlob = fetch(APP, digest)
    for attempt in (1, 2):
        assert bench.handle(job, attempt=attempt).settled == ["ack"]

    assert bench.storage.has(Kind.LAYER, APP, digest)
    assert upstream.sent() == 1
