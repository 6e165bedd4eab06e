import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from common.claims import Claims
from common.errors import LeaseLost
from common.paths import Layout
from fetcher.leases import Leases
from tests.waiting import until

LEASE = 0.6
# Not over when the machine stands still for a moment.
LASTING = 3.0


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def leases(layout: Layout) -> Iterator[Leases]:
    opened = Leases(Claims(layout, LEASE))
    yield opened
    opened.close()


def test_a_lease_held_long_is_kept_by_its_heartbeat(layout: Layout) -> None:
    folder = layout.claim("work")
    leases = Leases(Claims(layout, LASTING))
    with closing(leases), leases.hold(folder) as lease:
        assert lease is not None
        path = Path(folder, f"claim.{lease.generation}")
        first = path.stat().st_mtime
        until(
            lambda: path.stat().st_mtime > first + 2 * LASTING,
            60,
            what="heartbeats over two leases",
        )

        lease.confirm()
        with leases.hold(folder) as other:
            assert other is None
    assert not leases.is_held(folder)
    assert not os.path.exists(folder)


def test_a_lease_taken_over_is_noticed_by_the_heartbeat(layout: Layout, leases: Leases) -> None:
    folder = layout.claim("work")
    with leases.hold(folder) as lease:
        assert lease is not None
        lease.check()
        Path(folder, f"claim.{lease.generation + 1}").touch()

        with pytest.raises(LeaseLost):
            lease.confirm()

        def lost() -> bool:
            try:
                lease.check()
            except LeaseLost:
                return True
            return False

        until(lost, what="the heartbeat to notice")
    assert os.listdir(folder) == [f"claim.{lease.generation + 1}"]


def test_work_that_raises_gives_its_lease_up(layout: Layout, leases: Leases) -> None:
    folder = layout.claim("work")
    with pytest.raises(RuntimeError), leases.hold(folder):
        raise RuntimeError

    assert not leases.is_held(folder)


def test_of_many_threads_one_holds_at_a_time(layout: Layout) -> None:
    folder = layout.claim("work")
    # None is to be succeeded because it got no time to work.
    leases = Leases(Claims(layout, 60.0))
    inside: list[int] = []
    most: list[int] = []

    def hold() -> bool:
        with leases.hold(folder) as lease:
            if lease is None:
                return False
            inside.append(lease.generation)
            most.append(len(inside))
            inside.pop()
            return True

    def work() -> None:
        for _ in range(5):
            until(hold, what="a turn")

    with closing(leases), ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()

    assert most == [1] * 20


def test_nothing_is_left_behind(layout: Layout) -> None:
    leases = Leases(Claims(layout, LEASE))
    with leases.hold(layout.claim("work")):
        leases.is_held(layout.claim("work"))

    leases.close()

    assert os.listdir(layout.temporary) == []
