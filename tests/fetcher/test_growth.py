"""How many connections pay, on a clock of the test's own."""

from collections.abc import Callable

import pytest

from fetcher.growth import AGAIN, INTERVAL, Growth

MEGABYTE = 1_000_000


class Line:
    """Connections as the growth wants them, to an upstream of which `rate` says what they bring."""

    def __init__(self, rate: Callable[[int], float], most: int = 8) -> None:
        self.now = 100.0
        self.most = most
        self.growth = Growth(lambda: self.most, telling=MEGABYTE, clock=lambda: self.now)
        self.rate = rate
        self.level = 1
        self.growth.joined()

    def run(self, rest: int, seconds: float) -> list[int]:
        """The levels come to in that time."""
        levels = [self.level]
        end = self.now + seconds
        while self.now < end:
            self.now += 0.01
            self.growth.arrived(int(self.rate(self.level) * 0.01))
            level = self.growth.wanted(rest)
            for _ in range(level - self.level):
                self.growth.joined()
            if level != levels[-1]:
                levels.append(level)
            self.level = level
        return levels


def test_connections_are_doubled_as_long_as_that_doubles_what_comes() -> None:
    line = Line(lambda level: level * 15 * MEGABYTE)
    assert line.run(900 * MEGABYTE, 2.0) == [1, 2, 4, 8]


def test_no_more_than_are_allowed() -> None:
    line = Line(lambda level: level * 15 * MEGABYTE, most=6)
    assert line.run(900 * MEGABYTE, 2.0) == [1, 2, 4, 6]


def test_there_are_more_as_soon_as_more_are_allowed() -> None:
    line = Line(lambda level: level * 15 * MEGABYTE, most=1)
    assert line.run(900 * MEGABYTE, 1.0) == [1]
    assert line.growth.rate == pytest.approx(15 * MEGABYTE, rel=0.01)
    line.most = 8
    assert line.run(900 * MEGABYTE, 2.0) == [1, 2, 4, 8]


def test_an_upstream_that_gives_all_to_one_connection_keeps_to_one_and_is_tried_again_later() -> (
    None
):
    line = Line(lambda _: 60 * MEGABYTE)
    assert line.run(900 * MEGABYTE, 1.0) == [1, 2, 1]
    assert line.run(900 * MEGABYTE, AGAIN) == [1, 2, 1]


def test_what_soon_comes_to_its_end_keeps_to_one() -> None:
    line = Line(lambda level: level * 100 * MEGABYTE)
    assert line.run(40 * MEGABYTE, 3.0) == [1]


def test_many_connections_to_a_limited_upstream_are_taken_back() -> None:
    line = Line(lambda level: min(4, level) * 15 * MEGABYTE)
    assert line.run(900 * MEGABYTE, 1.0) == [1, 2, 4, 8, 4]


def test_a_fast_beginning_is_judged_by_its_bytes() -> None:
    line = Line(lambda level: level * 100 * MEGABYTE)
    line.run(10 * MEGABYTE, 0.02)
    assert line.growth.rate == pytest.approx(100 * MEGABYTE, rel=0.01)
    assert line.growth.each == line.growth.rate


def test_a_level_is_judged_when_all_its_connections_bring_bytes() -> None:
    now = 0.0
    growth = Growth(lambda: 8, telling=MEGABYTE, clock=lambda: now)
    growth.joined()
    growth.arrived(MEGABYTE)
    now += INTERVAL
    assert growth.wanted(900 * MEGABYTE) == 2
    # The second has not begun: what comes says nothing about two.
    growth.arrived(1000)
    now += 10 * INTERVAL
    assert growth.wanted(900 * MEGABYTE) == 2
    growth.joined()
    growth.arrived(4 * MEGABYTE)
    now += 2 * INTERVAL
    assert growth.wanted(900 * MEGABYTE) == 4


def test_one_connection_is_asked_for_what_ends_soon_and_several_for_little() -> None:
    growth = Line(lambda level: level * 40 * MEGABYTE).growth
    assert growth.stretch(4 * MEGABYTE) == 4 * MEGABYTE
    line = Line(lambda level: level * 40 * MEGABYTE)
    line.run(10 * MEGABYTE, 0.1)
    assert line.growth.stretch(4 * MEGABYTE) == pytest.approx(20 * MEGABYTE, rel=0.01)
    assert line.growth.brief(40 * MEGABYTE) == pytest.approx(10 * MEGABYTE, rel=0.01)
    assert line.growth.brief(4 * MEGABYTE) == 4 * MEGABYTE
