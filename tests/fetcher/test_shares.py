"""Who gets a slot."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from common.digest import Digest
from common.messages import ExpireLink, FetchBlob, Kind, ListTags, Message, Queue
from common.reference import RepositoryName
from common.source import Source
from fetcher.shares import Load, Shares
from tests.fetcher.clock import Clock
from tests.fetcher.workbench import Handed
from tests.waiting import until

SLOW, UP, THIRD = "slow", "up", "third"
APP = RepositoryName("app")


class Slots:
    """A process's slots, held until the test ends."""

    def __init__(self, count: int, *upstreams: str) -> None:
        self.clock = Clock()
        self.shares = Shares(count, upstreams, self.clock)
        self.held = ExitStack()

    def take(self, upstream: str, load: Load = Load.SMALL) -> bool:
        return self.held.enter_context(self.shares.share(upstream, load)) is None

    def all_of(self, upstream: str, load: Load = Load.SMALL) -> int:
        """As many as it gets."""
        return sum(self.take(upstream, load) for _ in range(40))


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (16, 11)])
def test_one_of_several_upstreams_leaves_a_slot_to_others(slots: int, most: int) -> None:
    assert Slots(slots, SLOW, UP).all_of(SLOW) == most


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_a_single_upstream_has_all_slots(slots: int) -> None:
    assert Slots(slots, UP).all_of(UP) == slots


def test_two_slow_ones_leave_a_slot_to_the_third() -> None:
    slots = Slots(8, SLOW, UP, THIRD)
    assert (slots.all_of(SLOW), slots.all_of(THIRD)) == (6, 1)
    assert slots.take(UP)


def test_blobs_leave_slots_to_manifests_of_the_same_upstream() -> None:
    slots = Slots(8, SLOW, UP)
    assert slots.all_of(SLOW, Load.BLOB) == 4
    assert slots.all_of(SLOW) == 2
    assert slots.take(UP, Load.BLOB)


def test_of_a_single_upstream_too() -> None:
    slots = Slots(8, UP)
    assert slots.all_of(UP, Load.BLOB) == 6
    assert slots.all_of(UP) == 2


def test_what_nobody_waits_for_leaves_slots_to_blobs_that_clients_wait_for() -> None:
    slots = Slots(8, SLOW, UP)
    assert slots.all_of(SLOW, Load.AHEAD) == 2
    assert slots.all_of(SLOW, Load.BLOB) == 2


def test_a_slot_that_is_given_back_is_had_again() -> None:
    slots = Slots(8, SLOW, UP)
    assert slots.all_of(SLOW) == 6
    slots.held.close()
    assert slots.all_of(SLOW) == 6


def test_pauses_are_spread_so_that_few_a_second_come_back() -> None:
    slots = Slots(8, SLOW, UP)
    slots.all_of(SLOW)
    slots.clock.now += 10
    pauses = []
    for _ in range(400):
        with slots.shares.share(SLOW, Load.SMALL) as pause:
            pauses.append(pause)
    assert pauses[:3] == [pytest.approx(value) for value in (0.25, 0.27, 0.29)]
    assert pauses[-1] == pytest.approx(5.0)
    assert pauses == sorted(pauses, key=lambda pause: pause or 0.0)


def test_where_jobs_end_one_after_another_the_next_waits_in_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fetcher.shares._QUICK", 10.0)
    shares = Shares(2, [SLOW, UP])
    with shares.share(SLOW, Load.SMALL):
        pass  # a quick one
    release, entered = threading.Event(), threading.Event()

    def hold() -> None:
        with shares.share(SLOW, Load.SMALL):
            entered.set()
            release.wait(10)

    def next_one() -> float | None:
        with shares.share(SLOW, Load.SMALL) as pause:
            return pause

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(hold)
        assert entered.wait(10)
        second = pool.submit(next_one)
        until(second.running, what="the next to come")
        release.set()
        first.result(10)
        assert second.result(10) is None


def handed(shares: Shares, message: Message, queue: Queue) -> list[str | float]:
    delivery = Handed(message, queue)
    shares.among(lambda taken: taken.ack())(delivery)
    return delivery.settled


def test_whose_turn_it_is_not_is_deferred_and_others_are_handled() -> None:
    slots = Slots(8, SLOW, UP)
    slots.all_of(SLOW, Load.BLOB)
    blob = Digest.of(b"")
    slow = FetchBlob(source=Source(SLOW, APP), digest=blob)
    assert handed(slots.shares, slow, Queue.INTERACTIVE)[0] != "ack"
    assert handed(slots.shares, slow, Queue.PREFETCH)[0] != "ack"
    for message in (
        ListTags(source=Source(SLOW, APP)),
        FetchBlob(source=Source(UP, APP), digest=blob),
        FetchBlob(source=Source("unknown", APP), digest=blob),
        ExpireLink(source=Source(SLOW, APP), digest=blob, kind=Kind.LAYER),
    ):
        assert handed(slots.shares, message, Queue.INTERACTIVE) == ["ack"]
