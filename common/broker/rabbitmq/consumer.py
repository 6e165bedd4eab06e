"""Deliveries to handlers, and their outcomes back to the broker."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from common import logs
from common.broker import MAX_ATTEMPTS, Delivery
from common.broker.delivery import ATTEMPTS_USED_UP, Ack, Defer, Handed, Outcome, Retry, serve
from common.broker.rabbitmq.forwarder import Forwarder
from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.parcel import Parcel
from common.broker.rabbitmq.publisher import Publisher
from common.broker.rabbitmq.runs import Run, Runs
from common.broker.rabbitmq.sentinel import Sentinel
from common.broker.rabbitmq.taps import Taps, Ticket
from common.broker.rabbitmq.topology import Channel
from common.broker.rabbitmq.vigil import LOOK_SECONDS, Vigil
from common.broker.slots import Slots
from common.errors import BrokerUnavailable, UndecodableMessage
from common.messages import Message, Queue, decode_message
from common.metrics.catalogue import DEAD_LETTERS

log = logs.get(__name__)

# A delivery is not held longer than this, in seconds: at 30 minutes (`consumer_timeout`) the
# broker takes the channel away.
HOLD_SECONDS = 20 * 60.0

# How long closing waits for what handlers decided to reach the broker, in seconds.
_SETTLE_SECONDS = 3.0


class Consumer:
    """Runs each key once at a time, whatever comes and goes of connections."""

    def __init__(
        self,
        link: Link,
        publisher: Publisher,
        queues: Sequence[Queue],
        slots: int,
        handler: Callable[[Delivery], None],
        hold: float = HOLD_SECONDS,
        look: float = LOOK_SECONDS,
        *,
        reserved: int = 0,
    ) -> None:
        self._link = link
        self._handler = handler
        self._hold = hold
        self._slots = Slots(slots)
        self._runs = Runs()
        # A run whose delivery went with its connection takes up a slot all the same.
        self._taps = Taps(
            link,
            queues,
            lambda: slots - self._runs.detached(self._taps.holds),
            self._receive,
            later=slots - reserved,
            settled=self._look_again,
        )
        self._forwarder = Forwarder(link, publisher, self._taps)
        self._sentinel = Sentinel(link, queues)
        self._finished = threading.Condition()
        link.join(self)
        link.call(self._look_at_holds)
        link.call(Vigil(link, self._taps, queues, look).watch)

    def close(self, drain: float) -> None:
        """Take no more, wait up to `drain` seconds for handlers and for what they decided.

        For any thread but the link's.
        """
        with suppress(BrokerUnavailable):
            self._link.call(self._taps.close)
        if self._slots.wait_idle(drain):
            with self._finished:
                self._finished.wait_for(
                    lambda: not self._runs and not self._taps.owes, _SETTLE_SECONDS
                )
        self._slots.close()

    def up(self) -> None:
        """See Part."""
        self._sentinel.post(lambda: self._link.open_channel(self._opened))

    def down(self) -> None:
        """See Part. The broker delivers again what was held; who runs it runs on."""
        self._taps.forget()
        self._look_again()

    def _opened(self, channel: Channel) -> None:
        channel.basic_qos(
            prefetch_count=1, callback=self._link.guarded(lambda _: self._taps.open(channel))
        )

    def _receive(self, queue: Queue, ticket: Ticket, properties: Any, body: bytes) -> None:
        parcel = Parcel.received(queue, body, properties.headers)
        if parcel.is_early:
            self._forwarder.forward(ticket, parcel)
            return
        try:
            message = decode_message(body)
        except UndecodableMessage as error:
            log.error(  # noqa: TRY400 - a fact about a message, not about our code
                "undecodable message dead-lettered", queue=queue.value, why=str(error)
            )
            DEAD_LETTERS.of(queue.value).add()
            self._forwarder.forward(ticket, parcel.dead(f"undecodable: {error}"))
            return
        if self._runs.join(message.key, parcel, ticket, self._taps.holds):
            # Whoever runs, or the retry that waits, answers for this one too.
            if not self._runs.relies_on(message.key, ticket):
                self._taps.ack(ticket)
            return
        self._run(message, self._runs.begin(message.key, parcel, ticket))

    def _run(self, message: Message, run: Run) -> None:
        parcel = run.parcel
        delivery = Handed(message, parcel.queue, parcel.attempt, partial(self._settle, run))
        if parcel.attempt > MAX_ATTEMPTS:
            # Delivered that often and never settled: whoever took it died of it.
            delivery.reject(ATTEMPTS_USED_UP)
        else:
            self._slots.run(partial(serve, self._handler, delivery))

    def _settle(self, run: Run, outcome: Outcome) -> None:
        """On the handler's thread."""
        with suppress(BrokerUnavailable):
            self._link.call(partial(self._carry_out, run, outcome))

    def _carry_out(self, run: Run, outcome: Outcome) -> None:
        finish = partial(self._finish, run)
        if isinstance(outcome, Ack):
            finish()
            return
        run.leaving = True
        if isinstance(outcome, Retry):
            self._runs.rest(run.key, outcome.delay)
            onward = run.parcel.again(outcome.delay)
        elif isinstance(outcome, Defer):
            # Who comes to ask for what was to be fetched ahead does not wait as long as that.
            if run.parcel.queue is not Queue.PREFETCH:
                self._runs.rest(run.key, outcome.delay)
            onward = run.parcel.delayed(outcome.delay)
        else:
            onward = run.parcel.dead(outcome.reason)
        self._forwarder.forward(run.ticket, onward, then=finish, lost=finish)

    def _finish(self, run: Run) -> None:
        # Together: in between it would seem that all has ended and nothing is to be acknowledged.
        with self._finished:
            self._runs.end(run)
            self._taps.ack(run.ticket)
            self._finished.notify_all()
        self._taps.balance()

    def _look_again(self) -> None:
        with self._finished:
            self._finished.notify_all()

    def _look_at_holds(self) -> None:
        """Let go of deliveries that are held long.

        A copy goes to wait at the broker, then the delivery is acknowledged. When the copy
        arrives and the run still goes on, it stands for the run as the delivery did; when our
        process died meanwhile, the copy is run by another.
        """
        for run in self._runs.held_longer_than(self._hold, self._taps.holds):
            self._forwarder.forward(run.ticket, run.parcel.delayed(self._hold / 4))
        self._link.later(self._hold / 4, self._look_at_holds)
