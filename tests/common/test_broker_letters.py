"""Dead letters in both backends: listed, tried again, dropped."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.broker import MAX_ATTEMPTS, Broker, Delivery
from common.broker.letters import DeadLetter, letter
from common.broker.rabbitmq.parcel import dead_letter
from common.errors import BrokerUnavailable
from common.messages import Queue, encode
from tests.common.broker_parts import Brokers, Recorder, job, publish_garbage
from tests.waiting import until


@pytest.fixture(params=["embedded", "rabbitmq"])
def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Brokers]:
    embedded = request.param == "embedded"
    url = f"sqlite://{tmp_path}/queue.db" if embedded else request.getfixturevalue("amqp_url")
    opened = Brokers(url, tmp_path)
    yield opened
    opened.close()


class Refusing:
    """A handler that rejects, until it is told to take what comes."""

    def __init__(self) -> None:
        self.accepts = False
        self.taken = Recorder(self._decide)

    def _decide(self, delivery: Delivery) -> None:
        if self.accepts:
            delivery.ack()
        else:
            delivery.reject(f"no {delivery.message.key[:4]} today")


@pytest.fixture
def refusing() -> Refusing:
    return Refusing()


@pytest.fixture
def broker(brokers: Brokers, refusing: Refusing) -> Broker:
    """A queue whose only consumer refuses everything."""
    opened = brokers.open()
    opened.consume([Queue.INTERACTIVE, Queue.PREFETCH], 1, refusing.taken)
    until(lambda: opened.connected)
    return opened


def bury(broker: Broker, *names: object) -> list[DeadLetter]:
    """Have jobs of these names die in this order; all letters there are."""
    for name in names:
        before = broker.dead()
        broker.publish(Queue.INTERACTIVE, job(name)).result(10)
        until(lambda before=before: broker.dead() == before + 1)  # type: ignore[misc]
    return listed(broker, broker.dead())


def listed(broker: Broker, count: int) -> list[DeadLetter]:
    """The letters, once there are `count`: what is given back comes a moment later."""
    found: list[DeadLetter] = []

    def are_there() -> bool:
        found[:] = broker.dead_letters(100)
        return len(found) == count

    until(are_there, what=f"{count} dead letters")
    until(lambda: broker.dead() == count)
    return found


def test_a_letter_says_what_it_was_and_why_it_died(broker: Broker) -> None:
    before = time.time()
    (found,) = bury(broker, "a")
    assert (found.key, found.queue, found.attempts) == (job("a").key, "interactive", 1)
    assert found.reason == "no blob today"
    assert before - 1 <= found.died <= time.time() + 1


def test_letters_are_listed_the_oldest_first_and_no_more_than_asked_for(broker: Broker) -> None:
    found = bury(broker, "a", "b", "c")
    assert [each.key for each in found] == [job(name).key for name in "abc"]
    assert len({each.id for each in found}) == 3
    until(lambda: broker.dead() == 3)
    assert broker.dead_letters(2) == found[:2]


def test_to_look_changes_nothing_however_often_it_is_done(broker: Broker) -> None:
    before = bury(broker, "a", "b")
    # 4.x drops what has gone back to its queue twenty times.
    for _ in range(30):
        until(lambda: broker.dead() == 2)
        assert sorted(listed(broker, 2), key=lambda each: each.key) == sorted(
            before, key=lambda each: each.key
        )


def test_a_letter_that_is_tried_again_is_delivered_as_a_first_attempt(
    broker: Broker, refusing: Refusing
) -> None:
    first, second = bury(broker, "a", "b")
    refusing.accepts = True
    assert broker.retry_dead([second.id]) == 1
    refusing.taken.until(3)
    assert refusing.taken.calls[2].key == second.key
    assert refusing.taken.attempts[2] == 1
    assert listed(broker, 1) == [first]


def test_all_letters_are_tried_again_unless_some_are_named(
    broker: Broker, refusing: Refusing
) -> None:
    bury(broker, *range(5))
    refusing.accepts = True
    assert broker.retry_dead() == 5
    refusing.taken.until(10)
    until(lambda: broker.dead() == 0)


def test_a_letter_that_dies_again_is_a_letter_again(broker: Broker, refusing: Refusing) -> None:
    bury(broker, "a")
    assert broker.retry_dead() == 1
    refusing.taken.until(2)
    (again,) = listed(broker, 1)
    assert again.key == job("a").key


def test_one_out_of_attempts_has_all_of_them_anew(brokers: Brokers) -> None:
    opened = brokers.open()
    until(lambda: opened.connected)
    handler = Recorder(lambda delivery: delivery.retry(0))
    opened.consume([Queue.INTERACTIVE], 1, handler)
    opened.publish(Queue.INTERACTIVE, job("a")).result(10)
    (found,) = listed(opened, 1)
    assert found.attempts == MAX_ATTEMPTS
    assert opened.retry_dead([found.id]) == 1
    handler.until(2 * MAX_ATTEMPTS)
    assert handler.attempts[MAX_ATTEMPTS:] == list(range(1, MAX_ATTEMPTS + 1))


def test_a_dropped_letter_is_gone_and_the_others_stay(broker: Broker, refusing: Refusing) -> None:
    first, second, third = bury(broker, "a", "b", "c")
    assert broker.drop_dead([first.id, third.id]) == 2
    assert listed(broker, 1) == [second]
    assert broker.drop_dead() == 1
    until(lambda: broker.dead() == 0)
    assert broker.dead_letters(10) == []
    assert len(refusing.taken.calls) == 3


def test_ids_of_no_letter_change_nothing(broker: Broker) -> None:
    (found,) = bury(broker, "a")
    assert broker.retry_dead(["nothing"]) == 0
    assert broker.drop_dead(["nothing"]) == 0
    assert listed(broker, 1) == [found]


def test_what_nobody_can_decode_is_listed_and_can_be_dropped(broker: Broker) -> None:
    publish_garbage(broker, Queue.INTERACTIVE)
    (found,) = listed(broker, 1)
    assert found.key == ""
    assert found.reason.startswith("undecodable")
    assert broker.drop_dead([found.id]) == 1
    until(lambda: broker.dead() == 0)


def test_without_a_broker_all_of_it_is_refused() -> None:
    opened = Brokers("amqp://127.0.0.1:1/", Path())
    broker = opened.open()
    for ask in (lambda: broker.dead_letters(1), broker.retry_dead, broker.drop_dead):
        with pytest.raises(BrokerUnavailable):
            ask()
    opened.close()


def test_a_letter_that_the_broker_itself_put_there_says_so() -> None:
    death = {"queue": "entrepot.prefetch.v1", "reason": "delivery_limit"}
    body = encode(job("a"))
    assert dead_letter(body, {"x-death": [death]}) == letter(
        "prefetch", body, "delivery_limit", 1, 0
    )
