"""Waiting for room within the limit."""

import os
from pathlib import Path

import pytest

from common.digest import Digest
from common.fills import Fill
from common.paths import Layout
from fetcher.allotment import Allotment
from fetcher.patience import Stopping
from tests.fetcher.clock import Clock


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    fill = Fill(Layout(str(tmp_path)), Digest.of(b"content"))
    os.makedirs(fill.folder)
    return fill


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _never() -> None:
    pytest.fail("waited")


def _allotment(clock: Clock, limit: int = 1000, *, is_kept: bool = True) -> Allotment:
    return Allotment(limit, lambda: is_kept, clock, clock.sleep)


def test_who_has_room_does_not_wait(fill: Fill, clock: Clock) -> None:
    fill.allot(100)
    _allotment(clock).wait(fill, 100, _never)
    assert clock.slept == []


def test_room_is_waited_for(fill: Fill, clock: Clock) -> None:
    looks: list[None] = []

    def go_on() -> None:
        looks.append(None)
        if len(looks) == 5:
            fill.allot(99)
        if len(looks) == 9:
            fill.allot(100)

    _allotment(clock).wait(fill, 100, go_on)
    assert len(looks) == 9


@pytest.mark.parametrize(("limit", "is_kept"), [(0, True), (99, True), (1000, False)])
def test_what_is_of_no_use_is_not_waited_for(
    fill: Fill, clock: Clock, limit: int, *, is_kept: bool
) -> None:
    _allotment(clock, limit, is_kept=is_kept).wait(fill, 100, _never)
    assert clock.slept == []


def test_nobody_waits_for_ever_and_then_not_at_once_again(fill: Fill, clock: Clock) -> None:
    allotment = _allotment(clock)
    begun = clock.now
    allotment.wait(fill, 100, lambda: None)
    assert clock.now - begun == pytest.approx(10, abs=0.1)
    allotment.wait(fill, 100, _never)
    clock.now += 60
    with pytest.raises(pytest.fail.Exception, match="waited"):
        allotment.wait(fill, 100, _never)


def test_where_others_were_given_room_meanwhile_it_is_waited_for_again(
    fill: Fill, clock: Clock, tmp_path: Path
) -> None:
    other = Fill(Layout(str(tmp_path)), Digest.of(b"other"))
    os.makedirs(other.folder)
    other.allot(100)
    allotment = _allotment(clock)

    def others_go_on() -> None:
        allotment.wait(other, 100, _never)

    begun = clock.now
    for _ in range(2):
        allotment.wait(fill, 100, others_go_on)
    assert clock.now - begun == pytest.approx(20, abs=0.2)


def test_one_that_needs_no_leave_says_nothing_about_others(fill: Fill, clock: Clock) -> None:
    allotment = _allotment(clock)
    allotment.wait(fill, 100, lambda: allotment.wait(fill, 1001, _never))
    allotment.wait(fill, 100, _never)


def test_who_is_to_stop_stops(fill: Fill, clock: Clock) -> None:
    def stop() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        _allotment(clock).wait(fill, 100, stop)
