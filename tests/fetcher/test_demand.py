"""How a holder learns that a client has come."""

from pathlib import Path

import pytest

from common.digest import Digest
from common.fills import Fill
from common.paths import Layout
from fetcher.demand import LOOK, Demand
from fetcher.urgency import is_urgent, urgency


class Looked(Fill):
    """A fill that counts how often it is looked at."""

    looks = 0

    def is_ahead(self) -> bool:
        self.looks += 1
        return super().is_ahead()


@pytest.fixture
def fill(tmp_path: Path) -> Looked:
    return Looked(Layout(str(tmp_path)), Digest.of(b"content"))


def test_storage_is_asked_now_and_then_and_no_more_once_somebody_waits(fill: Looked) -> None:
    now = 100.0
    with urgency(urgent=False):
        demand = Demand(fill, clock=lambda: now)
        for _ in range(1000):
            demand.look()
            now += LOOK / 250
        assert fill.looks in {4, 5}
        assert not is_urgent()
        fill.end_ahead()
        now += LOOK
        for _ in range(1000):
            demand.look()
            now += LOOK
        assert is_urgent()
        assert fill.looks in {5, 6}


def test_for_what_a_client_asked_storage_is_not_asked(fill: Looked) -> None:
    Demand(fill).look()
    assert fill.looks == 0
    assert not fill.exists()


def test_that_somebody_waits_ends_with_the_job(fill: Looked) -> None:
    for _ in range(2):
        with urgency(urgent=False):
            demand = Demand(fill)
            assert not is_urgent()
            fill.end_ahead()
            demand.look()
            assert is_urgent()
