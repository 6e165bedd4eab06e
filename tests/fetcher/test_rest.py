"""Rests that upstreams ask for, and how fetchers tell each other."""

import json
from pathlib import Path

import pytest

from common.errors import UpstreamError
from fetcher.answers import MAX_RETRY_AFTER
from fetcher.rest import Rest
from tests.fetcher.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0)


class Fetchers:
    """Several, in one storage folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.path = folder / "upstreams" / "hub.json"
        self._temporary = folder / "tmp"
        self._clock = clock

    def rest(self) -> Rest:
        return Rest("hub", str(self.path), temporary=str(self._temporary), clock=self._clock)


@pytest.fixture
def fetchers(tmp_path: Path, clock: Clock) -> Fetchers:
    return Fetchers(tmp_path, clock)


def test_a_rest_lasts_as_long_as_was_asked(clock: Clock) -> None:
    rest = Rest("hub", clock=clock)
    rest.check()
    rest.begin(30)
    clock.now += 29
    with pytest.raises(UpstreamError) as caught:
        rest.check()
    error = caught.value
    assert (error.status, error.code, error.retryable) == (503, "TOOMANYREQUESTS", True)
    assert error.retry_after == 1
    clock.now += 1
    rest.check()


def test_a_shorter_rest_does_not_end_a_longer_one(clock: Clock) -> None:
    rest = Rest("hub", clock=clock)
    rest.begin(30)
    rest.begin(5)
    rest.begin(0)
    assert rest.left() == 30


def test_no_rest_is_longer_than_anybody_should_be_kept_waiting(clock: Clock) -> None:
    rest = Rest("hub", clock=clock)
    rest.begin(1e9)
    assert rest.left() == MAX_RETRY_AFTER


def test_where_no_time_is_said_the_rests_grow_while_they_are_too_short(clock: Clock) -> None:
    rest = Rest("hub", clock=clock)
    pauses = []
    for _ in range(7):
        pauses.append(rest.begin(None))
        clock.now += rest.left() + 1
    assert pauses == [2, 4, 8, 16, 32, 60, 60]
    clock.now += 120
    assert rest.begin(None) == 2


def test_what_one_fetcher_was_told_all_obey(fetchers: Fetchers, clock: Clock) -> None:
    told, other = fetchers.rest(), fetchers.rest()
    assert other.left() == 0
    told.begin(30)
    assert other.left() == 30
    assert fetchers.rest().left() == 30  # one that was started afterwards
    told.begin(60)
    assert other.left() == 60
    clock.now += 60
    assert [rest.left() for rest in (told, other)] == [0, 0]


def test_a_moment_out_of_all_reason_is_a_wrong_clock_and_does_not_count(
    fetchers: Fetchers, clock: Clock
) -> None:
    fetchers.rest().begin(MAX_RETRY_AFTER)
    clock.now -= 7200
    assert fetchers.rest().left() == 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"until": "soon"}',
        '{"until": null}',
        "{}",
        "[" * 5000,
        '{"until": NaN}',
    ],
)
def test_a_file_that_makes_no_sense_means_no_rest(fetchers: Fetchers, content: str) -> None:
    fetchers.path.parent.mkdir()
    fetchers.path.write_text(content)
    rest = fetchers.rest()
    assert rest.left() == 0
    rest.begin(10)
    assert json.loads(fetchers.path.read_text())["until"] > 0


def test_a_file_that_cannot_be_written_costs_nothing_but_the_telling(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "file").touch()
    rest = Rest("hub", str(tmp_path / "file" / "x.json"), temporary=str(tmp_path), clock=clock)
    rest.begin(10)
    assert rest.left() == 10
