"""The circuit breaker by itself."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fetcher.breaker import FAILURES, Breaker
from fetcher.unasked import Unasked
from tests.fetcher.clock import Clock


class Upstream:
    """Requests through a breaker: `ask` is one that fails or is answered; `is_there` its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.is_there = False
        self.probes = 0
        self.breaker = Breaker("hub", self._probe, failures=3, seconds=2.0, clock=self.clock)

    def _probe(self) -> bool:
        self.probes += 1
        return self.is_there

    def ask(self, *, fails: bool) -> None:
        self.breaker.enter()
        if fails:
            self.breaker.failed()
        else:
            self.breaker.answered()

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


def test_failures_of_one_that_is_there_do_not_open_it(upstream: Upstream) -> None:
    upstream.is_there = True
    for _ in range(30):
        upstream.ask(fails=True)
        upstream.clock.now += 1
    assert not upstream.breaker.is_open
    assert upstream.probes == 10, "a question of its own for so many failures"


def test_when_its_time_is_over_one_finds_out_whether_it_is_there(tripped: Upstream) -> None:
    tripped.clock.now += 1
    tripped.is_there = True
    tripped.breaker.enter()
    assert not tripped.breaker.is_open


def test_others_are_kept_back_while_one_finds_out() -> None:
    release = threading.Event()
    entered = threading.Event()

    def is_there() -> bool:
        entered.set()
        return release.wait(10)

    clock = Clock()
    breaker = Breaker("hub", lambda: is_there() if clock.now > 1 else False, clock=clock, seconds=0)
    clock.now = 0
    for _ in range(FAILURES):
        breaker.failed()
    assert breaker.is_open
    clock.now = 2
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(breaker.enter)
        assert entered.wait(10)
        with pytest.raises(Unasked) as caught:
            breaker.enter()
        release.set()
        first.result(10)
    assert caught.value.retry_after == 1.0
    breaker.enter()


def test_each_time_that_it_is_not_there_doubles_the_time_up_to_a_minute(tripped: Upstream) -> None:
    pauses = []
    for _ in range(8):
        tripped.clock.now += tripped.kept_back()
        pauses.append(tripped.kept_back())
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_after_it_has_closed_it_opens_for_a_short_time_again(tripped: Upstream) -> None:
    for _ in range(3):
        tripped.clock.now += tripped.kept_back()
        tripped.kept_back()
    tripped.clock.now += tripped.kept_back()
    tripped.is_there = True
    tripped.ask(fails=False)
    tripped.is_there = False
    for pause in (0, 1, 1):
        tripped.clock.now += pause
        tripped.ask(fails=True)
    assert tripped.kept_back() == 1.0


def test_a_question_that_breaks_leaves_its_place_to_another() -> None:
    def breaks() -> bool:
        raise RuntimeError

    breaker = Breaker("hub", breaks, failures=1, seconds=0)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            breaker.failed()


def test_late_failures_of_requests_from_before_do_not_prolong_it(tripped: Upstream) -> None:
    before = tripped.kept_back()
    tripped.breaker.failed()
    assert tripped.kept_back() == before


def test_a_late_answer_to_a_request_from_before_closes_it(tripped: Upstream) -> None:
    tripped.breaker.answered()
    tripped.breaker.enter()
