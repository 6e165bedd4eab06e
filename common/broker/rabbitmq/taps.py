"""How much the broker may send us: never more than slots can take, the first queue before others."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.topology import Channel, queue_name
from common.messages import Queue

# A tap of an earlier queue that has been open this long in seconds and got nothing says that the
# queue is empty: only then is a later one tapped.
_QUIET_SECONDS = 0.02

# Since when the broker knows of a tap that it has not confirmed.
_UNKNOWN = float("inf")

# A tap without a message, and since when by the monotonic clock: one that was served meanwhile is
# another.
Idle: TypeAlias = tuple[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A delivery: what to acknowledge, on the channel that brought it.

    Delivery tags begin again at 1 with each channel, and a wrong one closes the channel: a tag
    without its channel is worth nothing. `tap` is the consumer that stays open for more.
    """

    channel: Channel
    tag: int
    tap: str | None


Receive = Callable[[Queue, Ticket, Any, bytes], None]


class Taps:
    """Consumers that hold one message each.

    RabbitMQ counts a prefetch for each consumer and keeps it for the consumer's life, so what we
    can take is regulated by opening and cancelling consumers of prefetch 1. The first queue has
    as many idle taps as slots are free. A later queue has one, which lets one message through
    and is gone; so a message that waits here for a slot is rare, and one that waits behind a
    message of a later queue, at the broker, rarer.

    A message that crosses our cancelling of its tap is taken all the same. pika would send it
    back, and the broker would count that as an attempt.
    """

    def __init__(
        self,
        link: Link,
        queues: Sequence[Queue],
        slots: Callable[[], int],
        receive: Receive,
        *,
        later: int,
        settled: Callable[[], None],
    ) -> None:
        """`slots` says how many there are for what we hold; `receive` gets each message.

        Of what we hold, up to `later` is of other queues than the first. `settled` is called when
        a message has been acknowledged later than `ack` was called.
        """
        self._link = link
        self._queues = tuple(queues)
        self._slots = slots
        self._receive = receive
        self._later = later
        self._settled = settled
        self._names = itertools.count(1)
        self._channel: Channel = None
        # Consumer tags of taps without a message, and since when the broker knows of them.
        self._idle: dict[Queue, dict[str, float]] = {queue: {} for queue in queues}
        self._held: set[Ticket] = set()
        # Of those, the ones whose tap is being cancelled, and what is to be acknowledged after.
        self._cancelling: set[Ticket] = set()
        self._done: set[Ticket] = set()
        self._closed = False
        self._waiting_for_quiet = False

    def open(self, channel: Channel) -> None:
        """Tap through a new channel, whose prefetch is 1."""
        self._channel = channel
        self.balance()

    def forget(self) -> None:
        """The channel is gone, and every tap with it."""
        self._channel = None
        for tickets in (self._held, self._cancelling, self._done):
            tickets.clear()
        for taps in self._idle.values():
            taps.clear()

    def close(self) -> None:
        """Cancel every tap; what was received stays held until it is acknowledged.

        Those that hold something, too: acknowledged, each would let one more message through.
        """
        self._closed = True
        if self._channel is not None and self._channel.is_open:
            for ticket in self._held:
                if ticket.tap is not None:
                    self._cancel(ticket.tap)
        self.balance()

    def idle(self, queue: Queue) -> frozenset[Idle]:
        """Its taps that the broker knows of and has given no message."""
        # A copy: tests ask on threads of their own.
        taps = list(self._idle[queue].items())
        return frozenset(each for each in taps if each[1] < _UNKNOWN)

    def holds(self, ticket: Ticket) -> bool:
        """Whether the broker still takes this delivery for ours."""
        return ticket in self._held

    def ack(self, ticket: Ticket) -> None:
        """The message is done with; nothing when it is not held any more."""
        if ticket in self._cancelling:
            # Acknowledged now, the tap would let the next one through.
            self._done.add(ticket)
            return
        if ticket not in self._held:
            return
        self._held.discard(ticket)
        if self._channel.is_open:
            self._channel.basic_ack(ticket.tag)
        if ticket.tap is not None and not self._closed:
            self._idle[self._queues[0]][ticket.tap] = time.monotonic()
        self.balance()

    @property
    def owes(self) -> bool:
        """Whether something that is done with is still to be acknowledged."""
        return bool(self._done)

    def balance(self) -> None:
        """Have as many taps open as slots are free.

        A slot counts as free when no delivery is held for it, not when its thread has nothing to
        do: a tap is given back with its acknowledgement, and must not be cancelled just then.
        """
        if self._channel is None or not self._channel.is_open:
            return
        free = 0 if self._closed else max(0, self._slots() - len(self._held))
        first, *others = self._queues
        self._resize(first, free)
        later = self._later - sum(ticket.tap is None for ticket in self._held)
        for place, queue in enumerate(others, start=1):
            if not free or later <= 0:
                self._resize(queue, 0)
            elif all(self._quiet(earlier) for earlier in self._queues[:place]):
                self._resize(queue, 1)
            elif not self._idle[queue]:
                self._balance_later()

    def _quiet(self, queue: Queue) -> bool:
        since = min(self._idle[queue].values(), default=_UNKNOWN)
        return time.monotonic() - since >= _QUIET_SECONDS

    def _balance_later(self) -> None:
        if not self._waiting_for_quiet:
            self._waiting_for_quiet = True
            self._link.later(_QUIET_SECONDS / 2, self._after_quiet)

    def _after_quiet(self) -> None:
        self._waiting_for_quiet = False
        self.balance()

    def _resize(self, queue: Queue, wanted: int) -> None:
        idle = self._idle[queue]
        while len(idle) > wanted:
            consumer, _ = idle.popitem()
            self._cancel(consumer)
        while len(idle) < wanted:
            self._open_tap(queue)

    def _cancel(self, consumer: str, done: Callable[[Any], None] = lambda _: None) -> None:
        # With a callback: pika then keeps the consumer until the broker has confirmed. By
        # `_cancelled` it knows what to send back meanwhile.
        self._channel.basic_cancel(consumer, callback=done)
        self._channel._cancelled.discard(consumer)  # noqa: SLF001 - it offers no setting

    def _open_tap(self, queue: Queue) -> None:
        consumer = f"{queue.value}-{next(self._names)}"
        self._idle[queue][consumer] = _UNKNOWN
        self._channel.basic_consume(
            queue_name(queue),
            self._link.guarded(partial(self._received, queue, self._channel)),
            consumer_tag=consumer,
            callback=self._link.guarded(partial(self._opened, queue, consumer)),
        )

    def _opened(self, queue: Queue, consumer: str, _frame: Any) -> None:
        if consumer in self._idle[queue]:
            self._idle[queue][consumer] = time.monotonic()

    def _received(
        self,
        queue: Queue,
        tapped: Channel,
        _channel: Channel,
        method: Any,
        properties: Any,
        body: bytes,
    ) -> None:
        if tapped is not self._channel:
            return
        is_open = self._idle[queue].pop(method.consumer_tag, None) is not None
        lasting = is_open and queue is self._queues[0]
        ticket = Ticket(tapped, method.delivery_tag, method.consumer_tag if lasting else None)
        self._held.add(ticket)
        if is_open and not lasting:
            self._cancel_behind(ticket, method.consumer_tag)
        self._receive(queue, ticket, properties, body)
        self.balance()

    def _cancel_behind(self, ticket: Ticket, consumer: str) -> None:
        self._cancelling.add(ticket)
        cancelled = self._link.guarded(partial(self._cancelled, ticket))
        self._cancel(consumer, cancelled)

    def _cancelled(self, ticket: Ticket, _frame: Any) -> None:
        self._cancelling.discard(ticket)
        if ticket in self._done:
            self._done.discard(ticket)
            self.ack(ticket)
            self._settled()
