"""The floor on throughput, on a clock of the test's own."""

import pytest

from common.errors import UpstreamError
from fetcher.throughput import Floor


class Line:
    """Reads that take as long as the test says."""

    def __init__(self, rate: float, window: float = 10.0) -> None:
        self.now = 0.0
        self.floor = Floor(rate, window, clock=lambda: self.now)

    def read(self, count: int, seconds: float) -> bytes:
        def receive(count: int) -> bytes:
            self.now += seconds
            return b"x" * count

        return self.floor.read(receive, count)


def test_a_transfer_at_the_floor_goes_on() -> None:
    line = Line(rate=100)
    for _ in range(100):
        assert line.read(100, seconds=1.0) == b"x" * 100


def test_a_transfer_below_the_floor_ends_after_the_window() -> None:
    line = Line(rate=100)
    for _ in range(9):
        line.read(99, seconds=1.0)
    with pytest.raises(UpstreamError, match=r"too slow: 990 bytes in 10\.0 seconds") as caught:
        line.read(99, seconds=1.0)
    assert (caught.value.status, caught.value.retryable) == (504, True)


def test_a_fast_past_does_not_excuse_a_slow_present() -> None:
    line = Line(rate=100)
    line.read(1_000_000, seconds=10.0)
    line.read(1, seconds=9.0)
    with pytest.raises(UpstreamError):
        line.read(1, seconds=1.0)


def test_time_that_the_reader_takes_is_not_the_upstreams() -> None:
    line = Line(rate=100)
    for _ in range(50):
        line.read(200, seconds=1.0)
        line.now += 1000


def test_a_floor_of_zero_is_none() -> None:
    line = Line(rate=0)
    for _ in range(100):
        line.read(0, seconds=100)
