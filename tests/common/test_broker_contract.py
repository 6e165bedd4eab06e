"""What both backends of the queue promise (see common.broker)."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count, pairwise
from pathlib import Path

import pytest

from common.broker import MAX_ATTEMPTS, Broker, Delivery
from common.broker.embedded.broker import EmbeddedBroker
from common.broker.rabbitmq.broker import RabbitBroker
from common.errors import BrokerUnavailable
from common.messages import Queue
from tests.common.broker_parts import (
    Brokers,
    Child,
    Gate,
    Recorder,
    event,
    expiry,
    job,
    publish_garbage,
    until_connected,
)
from tests.waiting import until

WORK = (Queue.INTERACTIVE, Queue.PREFETCH)


@pytest.fixture(params=["embedded", "rabbitmq"])
def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Brokers]:
    embedded = request.param == "embedded"
    url = f"sqlite://{tmp_path}/queue.db" if embedded else request.getfixturevalue("amqp_url")
    opened = Brokers(url, tmp_path)
    yield opened
    opened.close()


def put(broker: Broker, queue: Queue, *names: object) -> None:
    """Publish jobs of these names, and have it confirmed."""
    until_connected(broker)
    for published in [broker.publish(queue, job(name)) for name in names]:
        published.result(10)


def test_a_message_published_while_nobody_consumes_is_handed_over_later(brokers: Brokers) -> None:
    put(brokers.open(), Queue.INTERACTIVE, "a")
    handler = Recorder()
    brokers.open().consume(WORK, 2, handler)
    handler.until(1)
    call = handler.calls[0]
    assert (call.key, call.attempt, call.queue) == (job("a").key, 1, Queue.INTERACTIVE)


def test_an_acknowledged_message_is_not_handed_over_again(brokers: Brokers) -> None:
    first, second = Recorder(), Recorder()
    consumer = brokers.open()
    consumer.consume(WORK, 1, first)
    put(brokers.open(), Queue.INTERACTIVE, "a", "b")
    first.until(2)
    consumer.close(drain=5)
    put(brokers.open(), Queue.INTERACTIVE, "last")
    brokers.open().consume(WORK, 1, second)
    second.until(1)
    assert second.keys == [job("last").key]


def test_a_message_whose_consumer_is_killed_goes_to_another_as_the_next_attempt(
    brokers: Brokers,
) -> None:
    put(brokers.open(), Queue.INTERACTIVE, "a")
    doomed = brokers.child("hang")
    doomed.until_said(f"took {job('a').key} 1")
    heir = Recorder()
    brokers.open().consume(WORK, 1, heir)
    killed = time.monotonic()
    doomed.kill()
    heir.until(1)
    assert heir.attempts == [2]
    assert heir.calls[0].at - killed < 5


def test_a_message_that_keeps_killing_its_consumers_becomes_a_dead_letter(
    brokers: Brokers,
) -> None:
    # Begun a few deaths short of the limit, to spare the test a long row of processes.
    left = 3
    gate = Gate()
    handler = Recorder(
        lambda delivery: (
            delivery.retry(0) if delivery.attempt <= MAX_ATTEMPTS - left else gate(delivery)
        )
    )
    consumer, observer = brokers.open(), brokers.open()
    put(observer, Queue.INTERACTIVE, "poison")
    consumer.consume(WORK, 1, handler)
    handler.until(MAX_ATTEMPTS - left + 1)
    consumer.close()
    gate.opened.set()
    deaths = 0
    while not observer.dead():
        child = brokers.child("die")
        until(partial(_ended_or_dead, child, observer), 20)
        deaths += len(child.said("took"))
    assert 1 <= deaths <= left
    assert observer.depth(Queue.INTERACTIVE) == 0


def _ended_or_dead(child: Child, observer: Broker) -> bool:
    return child.exit_code is not None or observer.dead() > 0


def test_a_delayed_message_is_never_early(brokers: Brokers) -> None:
    handler = Recorder()
    brokers.open().consume(WORK, 4, handler)
    publisher = brokers.open()
    put(publisher, Queue.INTERACTIVE, "warm-up")
    handler.until(1)
    due: dict[str, float] = {}
    for delay in (0.1, 0.6, 1.3):
        due[job(delay).key] = time.monotonic() + delay
        publisher.publish(Queue.PREFETCH, job(delay), delay=delay)
    handler.until(4)
    late = [call.at - due[call.key] for call in handler.calls[1:]]
    assert min(late) >= 0
    assert max(late) < 10


def test_a_retried_message_comes_back_after_its_delay_as_the_next_attempt(
    brokers: Brokers,
) -> None:
    handler = Recorder(
        lambda delivery: delivery.retry(0.5) if delivery.attempt < 3 else delivery.ack()
    )
    brokers.open().consume(WORK, 1, handler)
    put(brokers.open(), Queue.INTERACTIVE, "a")
    handler.until(3)
    assert handler.attempts == [1, 2, 3]
    first, second, third = (call.at for call in handler.calls)
    assert second - first >= 0.5
    assert third - second >= 0.5


def test_a_publication_does_not_hurry_a_retry(brokers: Brokers) -> None:
    handler = Recorder(
        lambda delivery: delivery.retry(1.5) if delivery.attempt == 1 else delivery.ack()
    )
    brokers.open().consume(WORK, 2, handler)
    publisher = brokers.open()
    put(publisher, Queue.INTERACTIVE, "a")
    handler.until(1)
    put(publisher, Queue.INTERACTIVE, "a", "other")
    until(lambda: job("other").key in handler.keys)
    until(lambda: handler.keys.count(job("a").key) == 2)
    again = [call for call in handler.calls if call.key == job("a").key]
    assert again[1].at - again[0].at >= 1.5


def test_what_is_deferred_comes_back_after_its_delay_and_no_attempt_is_used_up(
    brokers: Brokers,
) -> None:
    rounds = MAX_ATTEMPTS + 2
    handler = Recorder(
        lambda delivery: delivery.defer(0.2) if len(handler.calls) < rounds else delivery.ack()
    )
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    put(broker, Queue.INTERACTIVE, "a")
    handler.until(rounds)
    assert handler.attempts == [1] * rounds
    times = [call.at for call in handler.calls]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.2
    until(lambda: broker.depth(Queue.INTERACTIVE) == 0)
    assert broker.dead() == 0


def test_what_is_deferred_lets_others_pass_and_is_one_however_often_it_is_published(
    brokers: Brokers,
) -> None:
    handler = Recorder(
        lambda delivery: delivery.defer(5) if len(handler.calls) == 1 else delivery.ack()
    )
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    put(broker, Queue.INTERACTIVE, "a", "b")
    handler.until(2)
    put(broker, Queue.INTERACTIVE, "a")
    until(lambda: handler.keys.count(job("a").key) == 2, 30)
    put(broker, Queue.INTERACTIVE, "c")
    until(lambda: job("c").key in handler.keys)
    assert handler.keys == [job(name).key for name in ("a", "b", "a", "c")]


def test_what_a_client_comes_to_ask_for_does_not_wait_for_what_was_deferred(
    brokers: Brokers,
) -> None:
    handler = Recorder(
        lambda delivery: delivery.defer(30) if len(handler.calls) == 1 else delivery.ack()
    )
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    put(broker, Queue.PREFETCH, "a")
    handler.until(1)
    until(lambda: broker.depth(Queue.PREFETCH) == 0 and not _works(broker))
    put(broker, Queue.INTERACTIVE, "a")
    handler.until(2)
    assert [call.queue for call in handler.calls] == [Queue.PREFETCH, Queue.INTERACTIVE]


def _works(broker: Broker) -> bool:
    """Whether a consumer at RabbitMQ has something to settle; what it holds is in no depth."""
    if not isinstance(broker, RabbitBroker):
        return False
    return broker._consumer is not None and bool(broker._consumer._runs)


def test_a_message_whose_handler_raised_is_retried(brokers: Brokers) -> None:
    def fail_once(delivery: Delivery) -> None:
        if delivery.attempt == 1:
            raise ValueError("the handler's own mistake")
        delivery.ack()

    handler = Recorder(fail_once)
    brokers.open().consume(WORK, 1, handler)
    put(brokers.open(), Queue.INTERACTIVE, "a")
    handler.until(2)
    assert handler.attempts == [1, 2]


def test_a_message_out_of_attempts_becomes_a_dead_letter(brokers: Brokers) -> None:
    handler = Recorder(lambda delivery: delivery.retry(0))
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    put(broker, Queue.INTERACTIVE, "a")
    until(lambda: broker.dead() == 1)
    assert handler.attempts == list(range(1, MAX_ATTEMPTS + 1))
    assert broker.depth(Queue.INTERACTIVE) == 0


def test_a_rejected_message_becomes_a_dead_letter_at_once(brokers: Brokers) -> None:
    handler = Recorder(lambda delivery: delivery.reject("not for us"))
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    put(broker, Queue.INTERACTIVE, "a")
    until(lambda: broker.dead() == 1)
    assert handler.attempts == [1]


def test_an_undecodable_message_becomes_a_dead_letter_and_stops_nobody(brokers: Brokers) -> None:
    handler = Recorder()
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    publish_garbage(broker, Queue.INTERACTIVE)
    put(broker, Queue.INTERACTIVE, "sound")
    handler.until(1)
    until(lambda: broker.dead() == 1)
    assert handler.keys == [job("sound").key]


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """While it lasts, a queue at RabbitMQ is not taken for empty because it was quiet a moment."""

    @contextmanager
    def patient() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("common.broker.rabbitmq.taps._QUIET_SECONDS", 1.0)
            yield

    return patient


def test_a_free_slot_takes_from_the_first_queue_that_has_work(
    brokers: Brokers, patience: Callable[[], AbstractContextManager[None]]
) -> None:
    publisher = brokers.open()
    put(publisher, Queue.PREFETCH, "p1", "p2", "p3")
    put(publisher, Queue.INTERACTIVE, "i1", "i2", "i3")
    handler = Recorder()
    with patience():
        brokers.open().consume(WORK, 1, handler)
        handler.until(4)
    handler.until(6)
    assert [call.queue for call in handler.calls] == [Queue.INTERACTIVE] * 3 + [Queue.PREFETCH] * 3


def test_work_of_the_first_queue_overtakes_a_backlog_of_the_second(
    brokers: Brokers, patience: Callable[[], AbstractContextManager[None]]
) -> None:
    publisher = brokers.open()
    gate = Gate()
    handler = Recorder(gate)
    put(publisher, Queue.PREFETCH, *range(10))
    brokers.open().consume(WORK, 1, handler)
    handler.until(1)
    put(publisher, Queue.INTERACTIVE, "urgent")
    with patience():
        gate.opened.set()
        handler.until(2)
    handler.until(11)
    assert handler.calls[1].queue == Queue.INTERACTIVE
    assert set(handler.attempts) == {1}


def test_reserved_slots_are_for_the_first_queue_alone(brokers: Brokers) -> None:
    publisher = brokers.open()
    gate = Gate()
    handler = Recorder(gate)
    put(publisher, Queue.PREFETCH, *range(6))
    brokers.open().consume(WORK, 4, handler, reserved=2)
    handler.until(2)
    put(publisher, Queue.INTERACTIVE, "i1", "i2")
    handler.until(4)
    # Two of the first queue are here, and before either has ended the later one has had no third.
    assert (
        sorted(call.queue.value for call in handler.calls) == ["interactive"] * 2 + ["prefetch"] * 2
    )
    gate.opened.set()
    handler.until(8)
    assert len(set(handler.keys)) == 8


def test_a_key_that_waits_in_a_later_queue_does_not_wait_there_once_the_first_has_it(
    brokers: Brokers,
) -> None:
    publisher = brokers.open()
    gate = Gate()
    handler = Recorder(gate)
    put(publisher, Queue.PREFETCH, *range(6))
    brokers.open().consume(WORK, 2, handler, reserved=1)
    handler.until(1)
    put(publisher, Queue.INTERACTIVE, 5)
    handler.until(2)
    assert handler.calls[1].key == job(5).key
    assert handler.calls[1].queue is Queue.INTERACTIVE
    gate.opened.set()
    until(lambda: {job(number).key for number in range(6)} <= set(handler.keys))


def test_a_backlog_is_worked_off_without_an_attempt_being_lost(brokers: Brokers) -> None:
    publisher = brokers.open()
    put(publisher, Queue.PREFETCH, *range(40))
    handler = Recorder()
    brokers.open().consume(WORK, 2, handler)
    put(publisher, Queue.INTERACTIVE, *range(40, 60))
    handler.until(60)
    assert sorted(handler.keys) == sorted(job(number).key for number in range(60))
    assert set(handler.attempts) == {1}


def test_no_more_handlers_run_at_once_than_there_are_slots(brokers: Brokers) -> None:
    gate = Gate()
    handler = Recorder(gate)
    brokers.open().consume(WORK, 3, handler)
    publisher = brokers.open()
    put(publisher, Queue.INTERACTIVE, *range(6))
    handler.until(3)
    put(publisher, Queue.PREFETCH, *range(6, 9))
    # What is left waits at the broker, for any other consumer to take.
    until(lambda: publisher.depth(Queue.INTERACTIVE) + publisher.depth(Queue.PREFETCH) == 6)
    assert len(handler.calls) == 3
    gate.opened.set()
    handler.until(9)


def test_a_key_is_not_run_beside_itself_and_what_arrives_meanwhile_is_settled_with_it(
    brokers: Brokers,
) -> None:
    gate = Gate()
    handler = Recorder(lambda d: gate(d) if d.message.key == job("a").key else d.ack())
    brokers.open().consume(WORK, 2, handler)
    publisher = brokers.open()
    put(publisher, Queue.INTERACTIVE, "a")
    handler.until(1)
    put(publisher, Queue.INTERACTIVE, "a")
    put(publisher, Queue.PREFETCH, "a")
    put(publisher, Queue.PREFETCH, "after it")
    until(lambda: job("after it").key in handler.keys)
    gate.opened.set()
    put(publisher, Queue.INTERACTIVE, "last")
    until(lambda: job("last").key in handler.keys)
    put(publisher, Queue.PREFETCH, "very last")
    until(lambda: job("very last").key in handler.keys)
    assert handler.keys.count(job("a").key) == 1


def test_an_expiry_may_put_itself_off(brokers: Brokers) -> None:
    broker = brokers.open()

    def put_off(delivery: Delivery) -> None:
        if len(handler.calls) == 1:
            broker.publish(Queue.EXPIRY, delivery.message, delay=0.4).result(10)
        delivery.ack()

    handler = Recorder(put_off)
    broker.consume([Queue.EXPIRY], 1, handler)
    until_connected(broker)
    broker.publish(Queue.EXPIRY, expiry("a"), delay=0.1).result(10)
    handler.until(2)
    assert handler.attempts == [1, 1]
    assert handler.calls[1].at - handler.calls[0].at >= 0.4


def test_several_processes_share_the_work_and_lose_none(brokers: Brokers) -> None:
    children = [brokers.child("ack", "2") for _ in range(3)]
    for child in children:
        child.until_said("consuming")
    put(brokers.open(), Queue.INTERACTIVE, *range(100))

    def done() -> list[str]:
        return [key for child in children for key in child.said("done")]

    until(lambda: len(done()) >= 100, 30)
    assert sorted(done()) == sorted(job(number).key for number in range(100))


def test_an_event_reaches_every_process_that_listens_and_our_own(brokers: Brokers) -> None:
    children = [brokers.child("listen") for _ in range(2)]
    for child in children:
        child.until_said("listening")
    heard: list[str] = []
    begun = threading.Event()
    broker = brokers.open()
    broker.subscribe(lambda told: heard.append(told.key), begun.set)
    assert begun.wait(10)
    broker.emit(event("a"))
    until(lambda: heard == ["event a"])
    for child in children:
        child.until_said("heard event a")


def test_a_burst_of_events_arrives_in_order(brokers: Brokers) -> None:
    heard: list[str] = []
    gaps: list[None] = []
    listener, broker = brokers.open(), brokers.open()
    listener.subscribe(lambda told: heard.append(told.key), lambda: gaps.append(None))
    burst = [event(number) for number in range(200)]

    def emitted(name: str) -> bool:
        broker.emit(event(name))
        return event(name).key in heard

    def is_whole(turn: int) -> bool:
        until(lambda: emitted(f"before {turn}"), 30)
        heard.clear()
        before = len(gaps)
        for each in burst:
            broker.emit(each)
        until(lambda: emitted(f"after {turn}"), 30)
        # Who listens and gets no time to may miss some, and has been told so by now.
        return len(gaps) == before

    turns = count()
    until(lambda: is_whole(next(turns)), 60, "a burst of which nothing was missed")
    keys = [each.key for each in burst]
    assert [key for key in heard if key in keys] == keys


def test_a_listener_that_raises_stops_nobody(brokers: Brokers) -> None:
    heard: list[str] = []
    begun = threading.Event()
    broker = brokers.open()

    def broken(_: object) -> None:
        raise ValueError("the listener's own mistake")

    broker.subscribe(broken)
    broker.subscribe(lambda told: heard.append(told.key), begun.set)
    until(lambda: broker.connected)

    def emitted() -> bool:
        broker.emit(event("a"))
        return bool(heard)

    until(emitted)


def test_an_idle_consumer_is_woken_within_milliseconds(
    brokers: Brokers, record_property: Callable[[str, object], None]
) -> None:
    handler = Recorder()
    brokers.open().consume(WORK, 1, handler)
    publisher = brokers.open()
    put(publisher, Queue.INTERACTIVE, "warm-up")
    handler.until(1)
    hops = []
    for number in range(30):
        begun = time.monotonic()
        publisher.publish(Queue.INTERACTIVE, job(number))
        handler.until(number + 2)
        hops.append(handler.calls[-1].at - begun)
    median_ms = statistics.median(hops) * 1000
    record_property("median_hop_ms", round(median_ms, 2))
    assert median_ms < 250


def test_an_idle_consumer_sleeps(brokers: Brokers) -> None:
    child = brokers.child("ack")
    child.until_said("consuming")
    put(brokers.open(), Queue.INTERACTIVE, "warm-up")
    child.until_said("done")
    begun, before = time.monotonic(), child.switches()
    until(lambda: time.monotonic() > begun + 3)
    switches, seconds = child.switches() - before, time.monotonic() - begun
    # Polling every 10 ms would be 100.
    assert switches / seconds < 20


def test_depth_counts_what_waits_without_what_is_delayed(brokers: Brokers) -> None:
    broker = brokers.open()
    put(broker, Queue.INTERACTIVE, "a", "b", "c")
    broker.publish(Queue.INTERACTIVE, job("later"), delay=60).result(10)
    until(lambda: broker.depth(Queue.INTERACTIVE) == 3)
    assert broker.depth(Queue.PREFETCH) == 0
    assert broker.dead() == 0


def test_closing_gives_running_handlers_time_to_finish(brokers: Brokers) -> None:
    started = threading.Event()
    gate = Gate()

    def work(delivery: Delivery) -> None:
        started.set()
        gate(delivery)

    broker = brokers.open()
    broker.consume(WORK, 1, Recorder(work))
    put(brokers.open(), Queue.INTERACTIVE, "a", "not begun")
    assert started.wait(10)
    takes_no_more = _takes_no_more(broker)
    closing = threading.Thread(target=broker.close, args=(10.0,))
    closing.start()
    until(takes_no_more)
    assert closing.is_alive()
    gate.opened.set()
    closing.join(20)
    heir = Recorder()
    brokers.open().consume(WORK, 1, heir)
    heir.until(1)
    assert heir.keys == [job("not begun").key]


def _takes_no_more(broker: Broker) -> Callable[[], bool]:
    """Whether the broker's consumer has begun to drain."""
    if isinstance(broker, RabbitBroker):
        assert broker._consumer is not None
        taps = broker._consumer._taps
        return lambda: taps._closed
    assert isinstance(broker, EmbeddedBroker)
    consumer = broker._consumer
    assert consumer is not None
    return lambda: consumer._draining


def test_what_a_closed_consumer_left_goes_to_another_at_once(brokers: Brokers) -> None:
    gate = Gate()
    handler, heir = Recorder(gate), Recorder()
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    put(brokers.open(), Queue.INTERACTIVE, "a")
    handler.until(1)
    broker.close(drain=0.1)
    brokers.open().consume(WORK, 1, heir)
    heir.until(1, within=5)
    gate.opened.set()
    assert heir.keys == [job("a").key]


def test_a_closed_broker_refuses_publications(brokers: Brokers) -> None:
    broker = brokers.open()
    put(broker, Queue.INTERACTIVE, "a")
    broker.close()
    with pytest.raises(BrokerUnavailable):
        broker.publish(Queue.INTERACTIVE, job("b")).result(5)
    broker.emit(event("into the void"))
    broker.close()


def test_what_is_published_after_an_acknowledgement_is_run(brokers: Brokers) -> None:
    """As by a client that was told of a failure, and asks again at once."""
    rounds = 50
    client = brokers.open()
    until(lambda: client.connected, 30)

    def answer(delivery: Delivery) -> None:
        delivery.ack()
        if len(handler.calls) < rounds:
            client.publish(Queue.INTERACTIVE, job("a")).result(10)

    handler = Recorder(answer)
    brokers.open().consume(WORK, 1, handler)
    put(client, Queue.INTERACTIVE, "a")
    handler.until(rounds)
