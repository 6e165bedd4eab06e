"""What is told of upstreams: whether they answer, want a rest, and what they still allow."""

import re
from pathlib import Path

import pytest

from common.insight.queue import QueueFacts
from common.insight.upstreams import UpstreamFacts
from common.metrics.catalogue import (
    ASKED,
    BREAKER,
    CACHED,
    CACHED_BLOBS,
    COUNTED,
    PROCESSES,
    QUOTA_LEFT,
    QUOTA_LIMIT,
    RESTING,
)
from common.metrics.kinds import Series, Snapshot
from entrepot.console.figures import Figures
from entrepot.console.upstreams import card_of
from entrepot.console.watch import Picture
from tests.console.counter import configured

WHOLE: Snapshot = {PROCESSES.definition.name: {("frontend",): 1}}


def row_of(upstream: str, folder: Path, snapshot: Snapshot, rests: float = 0.0) -> list[str]:
    """The cells about an upstream, as text."""
    names = [UpstreamFacts(upstream, rests)]
    picture = Picture([], [], QueueFacts({}, 0), names, Figures({**WHOLE, **snapshot}))
    rows = re.findall(r'<tr role="row">(.*?)</tr>', card_of(configured(folder), picture))
    row = next(each for each in rows if f">{upstream}</a>" in each)
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]


def asked(**answers: float) -> Snapshot:
    counted: Series = {
        ("ghcr.io", answer.removeprefix("_")): count for answer, count in answers.items()
    }
    return {ASKED.definition.name: {**counted, ("quay.io", "2xx"): 1000.0}}


@pytest.mark.parametrize(
    ("snapshot", "rests", "told"),
    [
        (asked(), 0.0, "not asked yet"),
        (asked(_2xx=5), 0.0, "answers"),
        (asked(_2xx=5), 90.0, "wants a rest for 2 min"),
        ({RESTING.definition.name: {("ghcr.io",): 30.0}}, 0.0, "wants a rest for 30 s"),
        ({BREAKER.definition.name: {("ghcr.io",): 1.0}}, 90.0, "does not answer"),
        ({BREAKER.definition.name: {("quay.io",): 1.0}, **asked(_2xx=1)}, 0.0, "answers"),
    ],
)
def test_its_state_is_told(tmp_path: Path, snapshot: Snapshot, rests: float, told: str) -> None:
    assert row_of("ghcr.io", tmp_path, snapshot, rests)[1] == told


def test_what_it_still_allows_is_told_as_it_said_it(tmp_path: Path) -> None:
    limit: Snapshot = {QUOTA_LIMIT.definition.name: {("ghcr.io",): [1000.0, 5.0]}}
    left: Snapshot = {QUOTA_LEFT.definition.name: {("ghcr.io",): [37.0, 5.0]}}
    assert row_of("ghcr.io", tmp_path, {**limit, **left})[2] == "37 of 1,000 left"
    assert row_of("quay.io", tmp_path, {**limit, **left})[2] == "none told"


def test_questions_failures_and_what_is_cached_are_counted_by_upstream(tmp_path: Path) -> None:
    cached: Snapshot = {
        CACHED.definition.name: {("ghcr.io",): [5e9, 1.0], ("quay.io",): [0.0, 1.0]},
        CACHED_BLOBS.definition.name: {("ghcr.io",): [1200.0, 1.0]},
        COUNTED.definition.name: {(): [1.0, 1.0]},
    }
    counted = {**asked(_2xx=1500, _4xx=7, _429=2, _5xx=3, error=4), **cached}
    assert row_of("ghcr.io", tmp_path, counted)[3:] == ["1,516", "9", "5.0 GB · 1,200 blobs"]
    assert row_of("quay.io", tmp_path, asked())[3:] == ["1,000", "0", "-"]
