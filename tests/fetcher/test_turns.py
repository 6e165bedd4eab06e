"""Turns: how many requests are under way, and who is next."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fetcher.turns import Turns
from fetcher.unasked import Unasked
from fetcher.urgency import is_urgent, urgency
from tests.waiting import until


def test_no_more_than_so_many_at_the_same_time() -> None:
    turns, seen = Turns(3), []
    lock = threading.Lock()

    def work(_: int) -> None:
        with turns.turn():
            with lock:
                seen.append(turns.taken)
            threading.Event().wait(0.005)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(48)))
    assert len(seen) == 48
    assert max(seen) == 3
    assert turns.taken == 0


def test_a_turn_that_failed_is_given_back() -> None:
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    with turns.turn():
        assert turns.taken == 1


def test_who_waits_too_long_is_told_to_come_back() -> None:
    turns = Turns(1, longest_wait=0.05)
    with turns.turn(), ThreadPoolExecutor(1) as pool:

        def wait() -> None:
            with turns.turn():
                pass

        with pytest.raises(Unasked) as caught:
            pool.submit(wait).result(10)
    assert caught.value.retry_after
    with turns.turn():
        pass


def test_what_somebody_waits_for_goes_first() -> None:
    turns, order = Turns(1), []
    waiting = []

    def work(*, urgent: bool) -> None:
        with urgency(urgent=urgent):
            waiting.append(urgent)
            with turns.turn():
                order.append(is_urgent())

    with ThreadPoolExecutor(4) as pool:
        with turns.turn():
            futures = [pool.submit(work, urgent=urgent) for urgent in (False, False, True, True)]
            until(lambda: len(waiting) == 4 and turns._urgent_waiting == 2, what="all to wait")
        for future in futures:
            future.result(10)
    assert order == [True, True, False, False]


def test_one_that_gave_up_does_not_hold_up_the_others() -> None:
    turns = Turns(1, longest_wait=0.1)
    with ThreadPoolExecutor(2) as pool:

        def urgent() -> None:
            with pytest.raises(Unasked), turns.turn():
                pass

        with turns.turn():
            pool.submit(urgent).result(10)
        with urgency(urgent=False), turns.turn():
            assert turns.taken == 1
