"""What is RabbitMQ's alone: restarts, lost connections, refusals, long holds."""

import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pika
import pytest
import structlog

from common.broker import Delivery
from common.broker.opening import open_broker
from common.broker.rabbitmq.broker import RabbitBroker
from common.broker.rabbitmq.census import _declare
from common.broker.rabbitmq.ladder import STEPS, step_for
from common.broker.rabbitmq.parcel import Parcel
from common.broker.rabbitmq.runs import Runs
from common.broker.rabbitmq.taps import Taps, Ticket
from common.broker.rabbitmq.topology import declare, queue_name, wait_name
from common.broker.rabbitmq.vigil import Vigil
from common.errors import BrokerUnavailable
from common.messages import Queue
from tests.common.broker_parts import Brokers, Gate, Recorder, event, job, until_connected
from tests.parts.process import free_port
from tests.parts.rabbit import Rabbit
from tests.waiting import until

WORK = (Queue.INTERACTIVE, Queue.PREFETCH)


@pytest.fixture
def brokers(amqp_url: str, tmp_path: Path) -> Iterator[Brokers]:
    opened = Brokers(amqp_url, tmp_path)
    yield opened
    opened.close()


def rabbit_broker(brokers: Brokers) -> RabbitBroker:
    """One to look into, connected."""
    broker = brokers.open()
    assert isinstance(broker, RabbitBroker)
    until_connected(broker)
    return broker


def drop_connection(broker: RabbitBroker) -> None:
    """Have the broker lose its connection, and wait until it has another."""
    before = broker._link.generation
    broker._link.call(lambda: broker._link.fail("a test says so"))
    until_reconnected(broker, before)


def test_one_connection_is_made_though_two_were_due(brokers: Brokers) -> None:
    broker = rabbit_broker(brokers)
    link, answered = broker._link, threading.Event()
    before = link.generation
    link.call(link._connect)
    link.call(answered.set)
    assert answered.wait(10)
    assert (link.generation, broker.connected) == (before, True)


def until_reconnected(broker: RabbitBroker, before: int) -> None:
    """Wait until the broker has another connection than the one of generation `before`."""
    until(lambda: broker._link.generation > before and broker.connected, 30, "another connection")


def queue_path(amqp_url: str, queue: str) -> str:
    """A queue's place in the management interface."""
    vhost = urllib.parse.urlsplit(amqp_url).path.removeprefix("/")
    return f"queues/{vhost}/{queue}"


def test_what_was_confirmed_outlives_a_power_cut_and_everybody_recovers(
    brokers: Brokers, rabbit: Rabbit
) -> None:
    handler = Recorder()
    publisher, consumer, listener = rabbit_broker(brokers), brokers.open(), brokers.open()
    gaps: list[float] = []
    heard: list[str] = []
    listener.subscribe(lambda told: heard.append(told.key), lambda: gaps.append(time.monotonic()))
    until(lambda: gaps, 30)
    consumer.consume([Queue.PREFETCH], 2, handler)
    for published in [publisher.publish(Queue.INTERACTIVE, job(number)) for number in range(50)]:
        published.result(10)

    rabbit.kill()
    until(lambda: not publisher.connected)
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publisher.publish(Queue.INTERACTIVE, job("nobody there")).result(10)
    assert time.monotonic() - begun < 9
    with pytest.raises(BrokerUnavailable):
        publisher.depth(Queue.INTERACTIVE)
    rabbit.start()

    until(lambda: publisher.connected and consumer.connected and listener.connected, 30)
    publisher.publish(Queue.PREFETCH, job("after")).result(10)
    handler.until(1)
    until(lambda: len(gaps) >= 2)
    publisher.emit(event("after"))
    until(lambda: "event after" in heard)
    survivors = Recorder()
    brokers.open().consume([Queue.INTERACTIVE], 4, survivors)
    survivors.until(50)
    assert {call.key for call in survivors.calls} >= {job(number).key for number in range(50)}


def test_without_a_broker_a_publication_fails_soon_and_says_so() -> None:
    broker = open_broker(f"amqp://guest:guest@127.0.0.1:{free_port()}/", name="entrepot: test")
    assert not broker.connected
    begun = time.monotonic()
    failure = broker.publish(Queue.INTERACTIVE, job("a")).exception(10)
    assert isinstance(failure, BrokerUnavailable)
    assert time.monotonic() - begun < 9
    broker.emit(event("into the void"))
    broker.close()


def test_publications_made_during_a_short_outage_are_made_good(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.broker.rabbitmq.publisher._WAIT_SECONDS", 20.0)
    broker = rabbit_broker(brokers)
    before = broker._link.generation
    # The link does one thing after the other: it has left the connection when it is to publish.
    broker._link.call(lambda: broker._link.fail("a test says so"))
    broker.publish(Queue.INTERACTIVE, job("a")).result(30)
    assert broker._link.generation > before
    until(lambda: broker.depth(Queue.INTERACTIVE) == 1)


def test_a_handler_that_outlives_its_connection_is_not_run_beside(brokers: Brokers) -> None:
    gate = Gate()
    handler = Recorder(lambda d: gate(d) if d.message.key == job("a").key else d.ack())
    consumer = rabbit_broker(brokers)
    consumer.consume(WORK, 2, handler)
    publisher = rabbit_broker(brokers)
    publisher.publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    drop_connection(consumer)
    publisher.publish(Queue.INTERACTIVE, job("b")).result(10)
    handler.until(2)
    gate.opened.set()
    until(lambda: consumer._consumer is not None and not consumer._consumer._runs)
    publisher.publish(Queue.INTERACTIVE, job("c")).result(10)
    handler.until(3)
    assert handler.keys == [job(name).key for name in "abc"]
    assert publisher.depth(Queue.INTERACTIVE) == 0


def test_a_retry_decided_during_an_outage_is_not_lost(brokers: Brokers) -> None:
    gate = threading.Event()

    def decide(delivery: Delivery) -> None:
        if delivery.attempt > 1:
            delivery.ack()
            return
        gate.wait(30)
        delivery.retry(0.1)

    handler = Recorder(decide)
    consumer = rabbit_broker(brokers)
    consumer.consume(WORK, 1, handler)
    rabbit_broker(brokers).publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    consumer._link.call(lambda: consumer._link.fail("a test says so"))
    gate.set()
    handler.until(2)


def test_a_deleted_queue_is_declared_again_and_consumed(brokers: Brokers, rabbit: Rabbit) -> None:
    handler = Recorder()
    consumer, publisher = rabbit_broker(brokers), rabbit_broker(brokers)
    consumer.consume(WORK, 1, handler)
    publisher.publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    before = consumer._link.generation
    rabbit.management.call("DELETE", queue_path(brokers.url, "entrepot.interactive.v1"))
    until_reconnected(consumer, before)
    publisher.publish(Queue.INTERACTIVE, job("b")).result(10)
    handler.until(2)


def test_a_queue_deleted_and_declared_in_one_moment_is_consumed(
    brokers: Brokers, rabbit: Rabbit
) -> None:
    handler = Recorder()
    consumer, publisher = rabbit_broker(brokers), rabbit_broker(brokers)
    consumer.consume(WORK, 2, handler)
    publisher.publish(Queue.INTERACTIVE, job("before")).result(10)
    handler.until(1)
    with redeclaring(brokers.url):
        rabbit.management.call("DELETE", queue_path(brokers.url, "entrepot.interactive.v1"))
    publisher.publish(Queue.INTERACTIVE, job("after")).result(10)
    handler.until(2)


@contextmanager
def redeclaring(amqp_url: str) -> Iterator[None]:
    """Somebody who declares everything over and over, and once more at the end."""
    ended, rounds = threading.Event(), list[None]()

    def declare_all() -> None:
        with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
            channel = connection.channel()
            while not ended.is_set():
                declare(_Blocking(channel), lambda: None)
                rounds.append(None)

    thread = threading.Thread(target=declare_all)
    thread.start()
    try:
        yield
        # The round that runs may have passed the queue already.
        last = len(rounds) + 2
        until(lambda: len(rounds) >= last, what="all to be declared anew")
    finally:
        ended.set()
        thread.join()


class _Blocking:
    """A blocking channel with the signatures of one that is not."""

    def __init__(self, channel: pika.adapters.blocking_connection.BlockingChannel) -> None:
        self.exchange_declare = channel.exchange_declare
        self.queue_declare = channel.queue_declare
        self._bind = channel.queue_bind

    def queue_bind(self, queue: str, exchange: str, key: str, callback: object = None) -> None:
        self._bind(queue, exchange, key)


def test_a_message_that_no_queue_takes_is_not_confirmed(brokers: Brokers, rabbit: Rabbit) -> None:
    broker = rabbit_broker(brokers)
    before = broker._link.generation
    rabbit.management.call("DELETE", queue_path(brokers.url, "entrepot.prefetch.v1"))
    with pytest.raises(BrokerUnavailable, match="no queue"):
        broker.publish(Queue.PREFETCH, job("a")).result(10)
    until_reconnected(broker, before)
    broker.publish(Queue.INTERACTIVE, job("b")).result(10)


def test_a_wait_queue_that_was_deleted_is_there_again_once_it_is_needed(
    brokers: Brokers, rabbit: Rabbit
) -> None:
    broker = rabbit_broker(brokers)
    before = broker._link.generation
    wait = queue_path(brokers.url, wait_name(step_for(60_000)))
    rabbit.management.call("DELETE", wait)
    with pytest.raises(BrokerUnavailable, match="no queue"):
        broker.publish(Queue.EXPIRY, job("a"), delay=60.0).result(10)
    until_reconnected(broker, before)
    broker.publish(Queue.EXPIRY, job("a"), delay=60.0).result(10)


def lose_taps(consumer: RabbitBroker, queue: Queue) -> None:
    """Have the broker drop the consumers of a queue, and our side not know of it."""
    assert consumer._consumer is not None
    taps = consumer._consumer._taps
    until(lambda: taps.idle(queue), 30)
    for tap, _ in taps.idle(queue):
        consumer._link.call(partial(taps._channel.basic_cancel, tap))


def test_a_broker_that_has_lost_our_consumers_is_found_out(brokers: Brokers) -> None:
    handler = Recorder()
    consumer = RabbitBroker(brokers.url, name="entrepot: test", look=0.3)
    consumer.consume(WORK, 2, handler)
    lose_taps(consumer, Queue.INTERACTIVE)
    rabbit_broker(brokers).publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    consumer.close()


def test_a_broker_that_counts_our_consumers_and_does_not_serve_them_is_found_out(
    brokers: Brokers,
) -> None:
    handler = Recorder()
    consumer = RabbitBroker(brokers.url, name="entrepot: test", look=0.3)
    consumer.consume([Queue.INTERACTIVE], 1, handler)
    # Another's consumer, whose slot is taken, makes up the number.
    gate = Gate()
    other = rabbit_broker(brokers)
    lose_taps(consumer, Queue.INTERACTIVE)
    other.consume([Queue.INTERACTIVE], 1, gate)
    publisher = rabbit_broker(brokers)
    publisher.publish(Queue.INTERACTIVE, job("taken")).result(10)
    publisher.publish(Queue.INTERACTIVE, job("passed over")).result(10)
    handler.until(1)
    gate.opened.set()
    consumer.close()


def test_a_message_that_crosses_the_cancelling_of_its_consumer_is_taken(brokers: Brokers) -> None:
    handler = Recorder()
    consumer, publisher = rabbit_broker(brokers), rabbit_broker(brokers)
    consumer.consume([Queue.INTERACTIVE], 1, handler)
    assert consumer._consumer is not None
    taps = consumer._consumer._taps
    until(lambda: taps.idle(Queue.INTERACTIVE), 30)
    asked, told = threading.Event(), threading.Event()

    def hold_up() -> None:
        asked.set()
        told.wait(60)
        taps._resize(Queue.INTERACTIVE, 0)

    # The link's thread is held up until the broker has sent the message: so it is under way.
    consumer._link.call(hold_up)
    asked.wait(10)
    publisher.publish(Queue.INTERACTIVE, job("a")).result(10)
    until(lambda: publisher.depth(Queue.INTERACTIVE) == 0)
    told.set()
    handler.until(1)
    assert handler.attempts == [1]


def test_what_was_done_with_before_the_end_is_acknowledged_though_its_tap_is_not_cancelled_yet(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = Taps._cancel

    def cancel_late(taps: Taps, consumer: str, *done: Callable[[Any], None]) -> None:
        now = partial(cancel, taps, consumer, *done)
        if done:
            taps._link.later(0.3, now)
        else:
            now()

    monkeypatch.setattr(Taps, "_cancel", cancel_late)
    handler, heir = Recorder(), Recorder()
    consumer, publisher = rabbit_broker(brokers), rabbit_broker(brokers)
    consumer.consume(WORK, 1, handler)
    publisher.publish(Queue.PREFETCH, job("done")).result(10)
    handler.until(1)
    consumer.close(drain=5)
    publisher.publish(Queue.PREFETCH, job("last")).result(10)
    brokers.open().consume(WORK, 1, heir)
    until(lambda: job("last").key in heir.keys)
    assert heir.keys == [job("last").key]


def test_what_waits_behind_a_handler_that_ends_while_its_consumer_closes_loses_no_attempt(
    brokers: Brokers,
) -> None:
    gate, heir = Gate(), Recorder()
    handler = Recorder(gate)
    consumer, publisher = rabbit_broker(brokers), rabbit_broker(brokers)
    consumer.consume([Queue.INTERACTIVE], 1, handler)
    for name in ("running", "waiting"):
        publisher.publish(Queue.INTERACTIVE, job(name)).result(10)
    handler.until(1)
    assert consumer._consumer is not None
    taps = consumer._consumer._taps
    closing = threading.Thread(target=consumer.close, args=(10.0,))
    closing.start()
    until(lambda: taps._closed)
    gate.opened.set()
    closing.join(20)
    brokers.open().consume([Queue.INTERACTIVE], 1, heir)
    heir.until(1)
    assert (heir.keys, heir.attempts) == ([job("waiting").key], [1])


def test_consumers_that_are_served_are_left_alone(brokers: Brokers) -> None:
    handler = Recorder()
    consumer = RabbitBroker(brokers.url, name="entrepot: test", look=0.01)
    consumer.consume(WORK, 4, handler, reserved=2)
    until_connected(consumer)
    before, publisher = consumer._link.generation, rabbit_broker(brokers)
    for number in range(100):
        publisher.publish(WORK[number % 2], job(number)).result(10)
    handler.until(100)
    assert consumer._link.generation == before
    consumer.close()


def test_a_consumer_that_was_served_between_two_looks_is_left_alone(brokers: Brokers) -> None:
    handler = Recorder()
    consumer, publisher = rabbit_broker(brokers), rabbit_broker(brokers)
    consumer.consume([Queue.INTERACTIVE], 1, handler)
    assert consumer._consumer is not None
    link, taps = consumer._link, consumer._consumer._taps
    vigil, before = Vigil(link, taps, [Queue.INTERACTIVE], 60), link.generation

    def look() -> None:
        """Find a message that waits beside the idle tap: what is acknowledged still counts for it."""
        until(lambda: taps.idle(Queue.INTERACTIVE), 30)
        found = SimpleNamespace(message_count=1, consumer_count=1)
        looked = threading.Event()
        link.call(lambda: vigil._judge(Queue.INTERACTIVE, taps.idle(Queue.INTERACTIVE), found))
        link.call(looked.set)
        assert looked.wait(10)

    for number in range(3):
        look()
        publisher.publish(Queue.INTERACTIVE, job(number)).result(10)
        handler.until(number + 1)
    look()
    assert link.generation == before
    look()
    until_reconnected(consumer, before)


def test_an_answer_that_comes_while_the_connection_closes_breaks_nothing(brokers: Brokers) -> None:
    broker = rabbit_broker(brokers)
    counted: Future[int] = Future()

    def ask(channel: Any) -> None:
        _declare(queue_name(Queue.INTERACTIVE), counted, channel)
        # The question is on its way; its answer finds a channel that is closing.
        channel.close()

    before = broker._link.generation
    broker._link.call(lambda: broker._link.scratch_channel(ask))
    assert counted.result(10) == 0
    assert broker.depth(Queue.INTERACTIVE) == 0
    assert broker._link.generation == before


def test_a_long_hold_is_handed_back_while_its_handler_runs_on(brokers: Brokers) -> None:
    consumer = RabbitBroker(brokers.url, name="entrepot: test", hold=0.8)
    gate = Gate()
    handler = Recorder(lambda d: gate(d) if d.message.key == job("long").key else d.ack())
    consumer.consume(WORK, 2, handler)
    rabbit_broker(brokers).publish(Queue.INTERACTIVE, job("long")).result(10)
    handler.until(1)
    assert consumer._consumer is not None
    run = consumer._consumer._runs._running[job("long").key]
    tickets = {run.ticket}

    def renewed_twice() -> bool:
        tickets.add(run.ticket)
        return len(tickets) >= 3

    until(renewed_twice)
    assert len(handler.calls) == 1
    gate.opened.set()
    consumer.close(drain=10)


def test_a_long_hold_whose_process_dies_goes_on_elsewhere(brokers: Brokers) -> None:
    consumer = RabbitBroker(brokers.url, name="entrepot: test", hold=0.8)
    gate, heir = Gate(), Recorder()
    handler = Recorder(gate)
    consumer.consume([Queue.INTERACTIVE], 1, handler)
    rabbit_broker(brokers).publish(Queue.INTERACTIVE, job("long")).result(10)
    handler.until(1)
    assert consumer._consumer is not None
    run = consumer._consumer._runs._running[job("long").key]
    taps = consumer._consumer._taps
    until(lambda: not taps.holds(run.ticket))
    consumer.close()
    brokers.open().consume([Queue.INTERACTIVE], 1, heir)
    heir.until(1)
    gate.opened.set()


def test_a_full_queue_of_duplicates_does_not_take_up_slots(brokers: Brokers) -> None:
    gate = Gate()
    handler = Recorder(lambda d: gate(d) if d.message.key == job("a").key else d.ack())
    brokers.open().consume(WORK, 2, handler)
    publisher = rabbit_broker(brokers)
    publisher.publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    for published in [publisher.publish(Queue.INTERACTIVE, job("a")) for _ in range(50)]:
        published.result(10)
    publisher.publish(Queue.INTERACTIVE, job("b")).result(10)
    handler.until(2)
    gate.opened.set()
    assert handler.keys == [job("a").key, job("b").key]


def test_a_password_is_never_logged(amqp_url: str) -> None:
    secret = "correct-horse"
    url = amqp_url.replace("guest:guest", f"guest:{secret}")
    with structlog.testing.capture_logs() as logged:
        broker = open_broker(url, name="entrepot: test")
        until(lambda: any(line["event"] == "no connection to RabbitMQ" for line in logged))
        broker.close()
    assert secret not in repr(logged)
    assert secret not in repr(broker)


@pytest.mark.parametrize("url", ["amqp://host:notaport/", "redis://host/0", "sqlite://relative.db"])
def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as refused:
        open_broker(url, name="entrepot: test")
    assert "host" not in str(refused.value)


def test_a_step_is_the_largest_that_fits_or_else_the_smallest() -> None:
    assert step_for(1).ms == 250
    assert step_for(999).ms == 250
    assert step_for(1000).ms == 1000
    assert step_for(10**12) is STEPS[-1]


def test_a_retry_that_is_back_before_its_publication_is_confirmed_is_run() -> None:
    def ticket(tag: int) -> Ticket:
        return Ticket(channel=None, tag=tag, tap=None)

    runs = Runs()
    first = Parcel(Queue.INTERACTIVE, b"")
    run = runs.begin("k", first, ticket(1))
    assert runs.join("k", first, ticket(2), holds=lambda _: True)
    run.leaving = True
    runs.rest("k", 0)
    assert not runs.join("k", first.again(0), ticket(3), holds=lambda _: True)


def test_headers_of_others_are_not_passed_on() -> None:
    parcel = Parcel.received(
        Queue.INTERACTIVE, b"", {"x-attempt": 3, "x-delivery-count": 2, "x-death": [{"count": 1}]}
    )
    assert parcel.attempt == 5
    assert parcel.headers == {"x-attempt": 5}


@pytest.mark.parametrize("attempt", ["3", None, -7, [1]])
def test_nonsense_in_headers_counts_as_nothing(attempt: object) -> None:
    assert Parcel.received(Queue.EXPIRY, b"", {"x-attempt": attempt}).attempt == 1
