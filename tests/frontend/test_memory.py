"""What a worker remembers, and that it is no more than it needs."""

import gc
import weakref

import pytest

from common.errors import UpstreamError
from frontend.memory import Refusals


class Request:
    """Stands for all that a request holds while it is answered."""


def refused(refusals: Refusals) -> "weakref.ref[Request]":
    """A request that ended in a refusal, if anything still has it."""
    request = Request()
    try:
        raise UpstreamError("no", status=404)
    except UpstreamError as error:
        refusals.note("key", error)
    return weakref.ref(request)


def refused_again(refusals: Refusals) -> "weakref.ref[Request]":
    request = Request()
    with pytest.raises(UpstreamError):
        refusals.raise_for("key")
    return weakref.ref(request)


def test_a_refusal_is_remembered_without_the_requests_it_ended() -> None:
    refusals = Refusals()
    first, second = refused(refusals), refused_again(refusals)
    gc.collect()
    assert (first(), second()) == (None, None)


def test_a_remembered_refusal_says_all_that_the_first_one_said() -> None:
    refusals = Refusals()
    said = UpstreamError("no", status=404, code="NAME_UNKNOWN", retryable=False, retry_after=3)
    refusals.note("key", said)
    with pytest.raises(UpstreamError, match="no") as caught:
        refusals.raise_for("key")
    assert vars(caught.value) == vars(said)


def test_what_is_too_old_is_forgotten_when_something_new_comes() -> None:
    refusals = Refusals(seconds=0)
    for number in range(100):
        refusals.note(f"key{number}", UpstreamError("no"))
    assert list(refusals._until) == ["key99"]
    refusals.raise_for("key99")
