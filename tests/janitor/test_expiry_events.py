"""Expiry events of one key in a real RabbitMQ, which keeps as many as are sent."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from common.broker import Broker, Delivery
from common.broker.opening import open_broker
from common.messages import ExpireLink, Kind, Queue
from common.reference import RepositoryName
from janitor.alarms import Alarms
from janitor.expiry import ExpiryHandler
from tests.common.broker_parts import Recorder, until_connected
from tests.janitor.house import House, content_of, expire_link
from tests.waiting import until

_TTL = 1.5
_COPIES = 12


@pytest.mark.parametrize("janitors", [1, 2])
def test_copies_of_an_event_come_down_to_one_for_each_janitor(
    tmp_path: Path, amqp_url: str, janitors: int
) -> None:
    """While the content stays in use, and whatever has sent them: fetches, moved tags, sweeps."""
    house = House(tmp_path, ttls={"": _TTL})
    digest = house.fill("app", content_of("layer"))
    with ExitStack() as stack:
        recorders = [stack.enter_context(_janitor(house, amqp_url)) for _ in range(janitors)]

        def calls() -> list[float]:
            return sorted(call.at for recorder in recorders for call in recorder.calls)

        sender = stack.enter_context(_broker(amqp_url))
        until_connected(sender)
        for number in range(_COPIES):
            event = expire_link("app", digest)
            sender.publish(Queue.EXPIRY, event, delay=number / 10).result(10)
        settled = _COPIES + 3 * janitors
        until(lambda: len(calls()) >= settled + 4 * janitors, 60, "some lives to pass")
        first, last = calls()[settled - 1], calls()[settled + 4 * janitors - 1]
    # Four each, of which one comes in each life; were all put off, there would be _COPIES.
    assert last - first > 2 * _TTL
    assert house.has("app", digest)


@contextmanager
def _broker(url: str) -> Iterator[Broker]:
    broker = open_broker(url, name="test")
    try:
        yield broker
    finally:
        broker.close()


@contextmanager
def _janitor(house: House, url: str) -> Iterator[Recorder]:
    """Its handler at a broker of its own; each event finds the content used a moment ago."""
    with _broker(url) as broker:
        handler = ExpiryHandler(house.expiries, Alarms(broker))

        def handle(delivery: Delivery) -> None:
            assert isinstance(delivery.message, ExpireLink)
            house.links.mark(Kind.LAYER, RepositoryName("app"), delivery.message.digest)
            handler(delivery)

        recorder = Recorder(handle)
        broker.consume([Queue.EXPIRY], 2, recorder)
        yield recorder
