"""What upstreams do not have, remembered for seconds."""

import gc
import weakref

import pytest

from common.errors import UpstreamError
from fetcher.absences import Absences
from tests.fetcher.clock import Clock

NOT_THERE = UpstreamError("none", status=404, code="MANIFEST_UNKNOWN", retryable=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_404_is_remembered_for_seconds(clock: Clock) -> None:
    absences = Absences(5.0, clock=clock)
    absences.note("tag:a:1", NOT_THERE)
    absences.raise_for("tag:a:2")
    clock.now += 4.9
    with pytest.raises(UpstreamError) as caught:
        absences.raise_for("tag:a:1")
    error = caught.value
    assert (str(error), error.status, error.code, error.retryable) == (
        *("none", 404, "MANIFEST_UNKNOWN"),
        False,
    )
    clock.now += 0.1
    absences.raise_for("tag:a:1")


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("down"),
        UpstreamError("no", status=403, code="DENIED", retryable=False),
        UpstreamError("expired", status=404, retryable=True),
    ],
    ids=["502", "403", "a storage's 404"],
)
def test_nothing_else_is(error: UpstreamError, clock: Clock) -> None:
    absences = Absences(5.0, clock=clock)
    absences.note("tag:a:1", error)
    absences.raise_for("tag:a:1")


def test_a_flood_of_names_pushes_itself_out(clock: Clock) -> None:
    absences = Absences(5.0, most=3, clock=clock)
    for number in range(4):
        absences.note(f"tag:a:{number}", NOT_THERE)
    absences.raise_for("tag:a:0")
    for number in (1, 2, 3):
        with pytest.raises(UpstreamError):
            absences.raise_for(f"tag:a:{number}")


class Download:
    """Stands for all that a job has in hand."""


def refused(absences: Absences) -> "weakref.ref[Download]":
    """A job that ended in a 404, if anything still has it."""
    download = Download()
    try:
        raise UpstreamError("none", status=404, retryable=False)
    except UpstreamError as error:
        absences.note("tag:a:1", error)
    return weakref.ref(download)


def test_a_404_is_remembered_without_the_job_it_ended() -> None:
    absences = Absences(5.0)
    job = refused(absences)
    gc.collect()
    assert job() is None


def test_what_is_too_old_is_forgotten_when_something_new_comes(clock: Clock) -> None:
    absences = Absences(5.0, clock=clock)
    for number in range(10):
        absences.note(f"tag:a:{number}", NOT_THERE)
    clock.now += 5
    absences.note("tag:b:1", NOT_THERE)
    assert list(absences._until) == ["tag:b:1"]
