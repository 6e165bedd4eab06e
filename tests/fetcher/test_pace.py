"""The limit on bandwidth."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fetcher.bodies import CHUNK_BYTES
from fetcher.pace import Pace
from fetcher.urgency import urgency
from tests.fetcher.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_limit_nobody_waits(clock: Clock) -> None:
    pace = Pace(0, clock, clock.sleep)
    for _ in range(100):
        pace.took(1 << 30)
    assert clock.slept == []
    assert pace.read_size == CHUNK_BYTES


def test_a_stream_is_held_to_the_limit(clock: Clock) -> None:
    pace = Pace(1000, clock, clock.sleep)
    begun = clock.now
    for _ in range(100):
        pace.took(100)
    assert clock.now - begun == pytest.approx(10, abs=0.5)


def test_a_pause_earns_a_little_and_not_everything(clock: Clock) -> None:
    pace = Pace(1000, clock, clock.sleep)
    pace.took(100)
    clock.now += 3600
    begun = clock.now
    pace.took(10_000)
    assert clock.now - begun == pytest.approx(9.75)


@pytest.mark.parametrize(("rate", "size"), [(10, 4096), (1_000_000, 100_000), (1e9, CHUNK_BYTES)])
def test_slow_streams_read_little_at_once(rate: float, size: int) -> None:
    assert Pace(rate).read_size == size


def test_streams_share_the_limit() -> None:
    pace = Pace(1_000_000)
    begun = time.monotonic()

    def stream(_: int) -> None:
        for _ in range(10):
            pace.took(12_500)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(stream, range(4)))
    assert 0.2 <= time.monotonic() - begun < 20  # half a second's worth, a quarter of it at once


def test_what_nobody_waits_for_gives_way(clock: Clock) -> None:
    pace = Pace(1000, clock, clock.sleep)
    debts = []

    def sleep(seconds: float) -> None:
        # Whoever sleeps now, the urgent stream goes on taking.
        clock.sleep(seconds)
        debts.append(pace._due - clock.now)

    pace = Pace(1000, clock, sleep)
    pace._due = clock.now + 0.5
    with urgency(urgent=False):
        pace.took(100)
    assert debts[0] == pytest.approx(0)  # the debt was let run out before more was taken


def test_it_gives_way_for_a_second_at_most() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        pace._due = clock.now + 0.3  # the urgent ones never pause

    pace = Pace(1000, clock, sleep)
    pace._due = clock.now + 0.3
    done = threading.Event()
    with urgency(urgent=False):
        pace.took(1)
        done.set()
    assert done.is_set()
    assert clock.now <= 1000 + 1 + 0.31
