"""Connections beside a download's own: only what nobody else wants."""

from concurrent.futures import ThreadPoolExecutor

from fetcher.ahead import Ahead, memory
from fetcher.spares import WITHHELD, Spares
from fetcher.turns import Turns
from tests.fetcher.clock import Clock
from tests.waiting import until


def test_spares_are_so_many_and_are_given_back() -> None:
    turns = Turns(8)
    spares = Spares(turns, 2)
    taken = [spares.take() for _ in range(3)]
    assert [give_back is None for give_back in taken] == [False, False, True]
    assert turns.taken == 2
    for give_back in taken:
        if give_back is not None:
            give_back()
    assert turns.taken == 0
    assert spares.take() is not None


def test_there_is_none_beyond_the_turns() -> None:
    turns = Turns(2)
    spares = Spares(turns, 2)
    with turns.turn():
        assert spares.take() is not None
        assert spares.take() is None


def test_there_is_none_while_somebody_waits_for_a_turn_and_what_is_given_back_is_theirs() -> None:
    turns = Turns(2)
    spares = Spares(turns, 2)
    first, second = spares.take(), spares.take()
    assert first is not None
    assert second is not None
    with ThreadPoolExecutor(1) as pool:

        def wait() -> None:
            with turns.turn():
                pass

        waiting = pool.submit(wait)
        until(lambda: turns.waiting == 1, what="one that waits")
        first()
        waiting.result(10)
    assert spares.take() is not None
    second()


def test_after_trouble_there_is_none_for_a_while() -> None:
    clock = Clock()
    spares = Spares(Turns(8), 2, clock=clock)
    spares.withhold()
    assert spares.are_withheld
    assert spares.take() is None
    clock.now += WITHHELD
    assert spares.take() is not None


def test_memory_is_as_much_as_there_is() -> None:
    ahead = Ahead(memory(segments=2, size=10))
    assert ahead.left == 40
    assert ahead.take(40)
    assert not ahead.take(1)
    ahead.give_back(40)
    assert ahead.take(1)
