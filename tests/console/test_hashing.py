import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from entrepot.console import hashing
from entrepot.console.hashing import MOST_WAITING, Hashing
from janitor.examine import Examiner, Verdict
from tests.common.insight.store import Store
from tests.waiting import until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Examinations wait, in their midst, until this is set."""
    go_on = threading.Event()
    examine = Examiner.examine

    def wait(self: Examiner, digest: Digest, step: object) -> Verdict:
        go_on.wait(20)
        return examine(self, digest, step)  # type: ignore[arg-type]

    monkeypatch.setattr(Examiner, "examine", wait)
    yield go_on
    go_on.set()


def test_one_is_done_after_the_other_and_the_youngest_are_shown_first(store: Store) -> None:
    blobs = [store.add_blob(bytes([number]) * 1000) for number in range(3)]
    jobs = Hashing(store.layout)
    for digest in blobs:
        assert jobs.add(f"of {digest}", [digest], "ada")
    until(lambda: [job.ended is not None for job in jobs.jobs()] == [True] * 3)
    assert [job.number for job in jobs.jobs()] == [3, 2, 1]
    assert all((job.read, job.size, job.findings) == (1000, 1000, {}) for job in jobs.jobs())


def test_what_is_damaged_is_told_and_what_is_gone_is_not(store: Store) -> None:
    damaged, gone = store.add_blob(b"x" * 1000), Digest.of(b"never was")
    with open(store.layout.blob(damaged), "r+b") as file:
        file.write(b"y")
    jobs = Hashing(store.layout)
    jobs.add("both", [damaged, gone], "ada")
    until(lambda: jobs.jobs()[0].ended is not None)
    (job,) = jobs.jobs()
    assert list(job.findings) == [damaged]
    assert not os.path.exists(store.layout.blob(damaged))
    assert not job.is_stopped


def test_findings_are_shown_while_there_come_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = [store.add_blob(bytes([number]) * 1000) for number in range(2)]
    for digest in blobs:
        with open(store.layout.blob(digest), "r+b") as file:
            file.write(b"y")
    turns, examine = threading.Semaphore(1), Examiner.examine

    def in_turn(self: Examiner, digest: Digest, step: object) -> Verdict:
        assert turns.acquire(timeout=20)
        return examine(self, digest, step)  # type: ignore[arg-type]

    monkeypatch.setattr(Examiner, "examine", in_turn)
    jobs = Hashing(store.layout)
    jobs.add("both", blobs, "ada")
    (job,) = jobs.jobs()
    until(lambda: job.findings)
    shown = iter(job.findings.items())
    turns.release()
    until(lambda: job.ended is not None)
    assert [digest for digest, _ in shown] == blobs[:1]
    assert list(job.findings) == blobs


def test_one_that_is_stopped_reads_no_further(store: Store, held: threading.Event) -> None:
    blobs = [store.add_blob(bytes([number])) for number in range(3)]
    jobs = Hashing(store.layout)
    jobs.add("all", blobs, "ada")
    until(lambda: jobs.jobs()[0].began is not None)
    assert jobs.stop(1)
    held.set()
    until(lambda: jobs.jobs()[0].ended is not None)
    (job,) = jobs.jobs()
    assert job.is_stopped
    assert job.looked_at == 0
    assert not jobs.stop(1)
    assert not jobs.stop(2)


def test_one_that_is_stopped_when_all_was_read_is_done(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = store.add_blob(b"x")
    examine = Examiner.examine

    def then_stop(self: Examiner, digest: Digest, step: object) -> Verdict:
        verdict = examine(self, digest, step)  # type: ignore[arg-type]
        assert jobs.stop(1)
        return verdict

    monkeypatch.setattr(Examiner, "examine", then_stop)
    jobs = Hashing(store.layout)
    jobs.add("all", [blob], "ada")
    until(lambda: jobs.jobs()[0].ended is not None)
    (job,) = jobs.jobs()
    assert job.looked_at == 1
    assert not job.is_stopped


def test_no_more_than_so_many_wait(store: Store, held: threading.Event) -> None:
    digest = store.add_blob(b"x")
    jobs = Hashing(store.layout)
    assert jobs.add("first", [digest], "ada")
    until(lambda: jobs.jobs()[0].began is not None)
    assert [jobs.add("more", [digest], "ada") for _ in range(MOST_WAITING + 1)] == [
        *[True] * MOST_WAITING,
        False,
    ]
    held.set()
    until(lambda: all(job.ended is not None for job in jobs.jobs()))
    assert len(jobs.jobs()) == MOST_WAITING + 1


def test_one_that_breaks_does_not_end_those_that_follow(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.add_blob(b"x")
    monkeypatch.setattr(hashing, "problem_with", lambda *_: 1 / 0)
    jobs = Hashing(store.layout)
    jobs.add("first", [digest], "ada")
    until(lambda: jobs.jobs()[0].ended is not None)
    monkeypatch.setattr(hashing, "problem_with", lambda *_: "")
    jobs.add("second", [digest], "ada")
    until(lambda: jobs.jobs()[0].ended is not None and jobs.jobs()[0].number == 2)
    assert [job.is_stopped for job in jobs.jobs()] == [False, True]
