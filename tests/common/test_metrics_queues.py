"""How the queue stands: asked of a real one, and of one that does not answer."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from common.broker import Broker, Delivery
from common.broker.embedded.broker import EmbeddedBroker
from common.digest import Digest
from common.errors import BrokerUnavailable
from common.messages import FetchBlob, Queue
from common.metrics.catalogue import DEAD, DEAD_LETTERS, DEPTH, OLDEST, RETRIES
from common.metrics.kinds import Numbers
from common.metrics.queues import QueueWatch
from common.reference import RepositoryName
from common.source import Source
from tests.waiting import until

WAITING = ("interactive",)
JOB = FetchBlob(source=Source("", RepositoryName("library/app")), digest=Digest.of(b"x"))


def _said(metric: Numbers, *labels: str) -> float | None:
    value = metric.series().get(labels)
    return None if value is None else cast("list[float]", value)[0]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path / "queue.sqlite")
    yield broker
    broker.close()


def test_what_waits_is_told_with_its_age(broker: EmbeddedBroker) -> None:
    watch = QueueWatch(broker)
    watch.look()
    assert (_said(DEPTH, *WAITING), _said(OLDEST, *WAITING), _said(DEAD)) == (0, 0, 0)
    broker.publish(Queue.INTERACTIVE, JOB).result(10)
    until(lambda: broker.oldest(Queue.INTERACTIVE) >= 0.2)
    watch.look()
    assert _said(DEPTH, *WAITING) == 1
    assert (_said(OLDEST, *WAITING) or 0) >= 0.2


class Changing:
    """A broker that does not know ages, and one day does not answer."""

    def __init__(self) -> None:
        self.waiting: int | None = 0

    def depth(self, _queue: Queue) -> int:
        if self.waiting is None:
            raise BrokerUnavailable("gone")
        return self.waiting

    def dead(self) -> int:
        return self.depth(Queue.EXPIRY)


def test_where_ages_are_not_known_it_is_the_time_since_the_queue_was_empty() -> None:
    changing = Changing()
    watch = QueueWatch(cast("Broker", changing))
    watch.look()
    empty = time.monotonic()
    changing.waiting = 2
    until(lambda: time.monotonic() - empty > 0.3)
    watch.look()
    assert (_said(OLDEST, *WAITING) or 0) >= 0.3
    changing.waiting = 0
    watch.look()
    assert _said(OLDEST, *WAITING) == 0


def test_nothing_is_said_of_a_queue_that_does_not_answer() -> None:
    changing = Changing()
    watch = QueueWatch(cast("Broker", changing))
    watch.look()
    assert _said(DEPTH, *WAITING) == 0
    changing.waiting = None
    watch.look()
    assert _said(DEPTH, *WAITING) is _said(OLDEST, *WAITING) is _said(DEAD) is None


def test_retries_and_dead_letters_are_counted(broker: EmbeddedBroker) -> None:
    retries, dead = RETRIES.of("interactive"), DEAD_LETTERS.of("interactive")
    before = retries.value, dead.value

    def handle(delivery: Delivery) -> None:
        if delivery.attempt == 1:
            delivery.retry(0.0)
        else:
            delivery.reject("no use")

    broker.consume([Queue.INTERACTIVE], 1, handle)
    broker.publish(Queue.INTERACTIVE, JOB).result(10)
    until(lambda: broker.dead() == 1)
    assert (retries.value, dead.value) == (before[0] + 1, before[1] + 1)
