"""The circuit breaker by itself."""

import pytest

from fetcher.breaker import Breaker
from fetcher.unasked import Unasked
from tests.fetcher.clock import Clock


class Upstream:
    """Requests through a breaker: `ask` is one that fails or is answered."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.breaker = Breaker("hub", failures=3, seconds=2.0, clock=self.clock)

    def ask(self, *, fails: bool) -> None:
        probe = self.breaker.enter()
        if fails:
            self.breaker.failed(probe=probe)
        else:
            self.breaker.answered()
        self.breaker.leave(probe=probe)

    def kept_back(self) -> float:
        """For how many seconds requests are to be kept back."""
        with pytest.raises(Unasked) as caught:
            self.breaker.enter()
        assert caught.value.retryable
        assert (caught.value.status, caught.value.code) == (503, "UNAVAILABLE")
        return caught.value.retry_after or 0.0


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def tripped(upstream: Upstream) -> Upstream:
    for pause in (0, 1, 1):
        upstream.clock.now += pause
        upstream.ask(fails=True)
    return upstream


def test_it_opens_after_so_many_failures_in_a_row(upstream: Upstream) -> None:
    for _ in range(2):
        upstream.ask(fails=True)
        upstream.clock.now += 2
    assert not upstream.breaker.is_open
    upstream.ask(fails=True)
    assert upstream.kept_back() == 1.0


def test_an_answer_in_between_begins_the_count_anew(upstream: Upstream) -> None:
    for _ in range(4):
        upstream.ask(fails=True)
        upstream.ask(fails=True)
        upstream.ask(fails=False)
        upstream.clock.now += 2
    assert not upstream.breaker.is_open


def test_many_failures_within_one_hiccup_do_not_open_it(upstream: Upstream) -> None:
    for _ in range(20):
        upstream.ask(fails=True)
    assert not upstream.breaker.is_open


def test_when_its_time_is_over_one_request_goes_through(tripped: Upstream) -> None:
    tripped.clock.now += 1
    assert tripped.breaker.enter()
    assert tripped.kept_back() == 1.0  # another, while the probe is under way


def test_a_probe_that_is_answered_closes_it(tripped: Upstream) -> None:
    tripped.clock.now += 1
    tripped.ask(fails=False)
    assert not tripped.breaker.is_open
    assert not tripped.breaker.enter()


def test_each_probe_that_fails_doubles_the_time_up_to_a_minute(tripped: Upstream) -> None:
    pauses = []
    for _ in range(8):
        tripped.clock.now += tripped.kept_back()
        tripped.ask(fails=True)
        pauses.append(tripped.kept_back())
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_after_it_has_closed_it_opens_for_a_short_time_again(tripped: Upstream) -> None:
    for _ in range(3):
        tripped.clock.now += tripped.kept_back()
        tripped.ask(fails=True)
    tripped.clock.now += tripped.kept_back()
    tripped.ask(fails=False)
    for pause in (0, 1, 1):
        tripped.clock.now += pause
        tripped.ask(fails=True)
    assert tripped.kept_back() == 1.0


def test_a_probe_that_ends_without_a_verdict_leaves_its_place_to_another(
    tripped: Upstream,
) -> None:
    tripped.clock.now += 1
    assert tripped.breaker.enter()
    tripped.breaker.leave(probe=True)
    assert tripped.breaker.enter()


def test_late_failures_of_requests_from_before_do_not_prolong_it(tripped: Upstream) -> None:
    before = tripped.kept_back()
    tripped.breaker.failed(probe=False)
    assert tripped.kept_back() == before


def test_a_late_answer_to_a_request_from_before_closes_it(tripped: Upstream) -> None:
    tripped.breaker.answered()
    assert not tripped.breaker.enter()
