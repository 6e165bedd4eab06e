"""The queue: one interface, a backend for several machines and one for a single machine.

What every backend promises, and `tests/common/test_broker_contract.py` holds it to:

- *At least once.* A message whose publication was confirmed is handed to a handler until one
  settles it, whatever process dies in between. Handlers are therefore idempotent.
- *One at a time.* Messages of equal key are not run side by side within one consumer, whichever
  queues they came through; what arrives for a key while it is running is settled with it. What
  was published with a delay arrives when that has passed: a handler may so put off its own key.
- *Order of queues.* A free slot takes from the first of the consumer's queues that has work;
  so many slots as are reserved are never taken by the others. A key that waits in a later queue
  and is published to the first as well is run as work of the first.
- *Delay and attempts.* A message may be published, or retried, not to be seen before a delay in
  seconds has passed (never early; late by up to a delay step on a backend that has steps).
  `attempt` counts from 1; past MAX_ATTEMPTS, or when its handler's process died that often, a
  message is kept in the dead-letter queue. A new publication of a key that waits to be retried
  does not hurry the retry, as far as the consumer that met it knows of that. What is deferred was
  no attempt.
- *Dead letters.* What nobody can decode goes there too, and what a handler rejects, each with its
  reason. They can be listed, the oldest first, tried again as if newly published, or dropped; one
  that is tried again leaves when its publication is safe, so it may be twice but never nowhere.
- *Events are hints.* Every subscriber alive gets them within milliseconds, usually. They may be
  lost; storage is the truth, and `on_gap` tells a subscriber that some may have been.

The embedded backend promises more, because it can: a key that waits is kept once, a key that
runs is not run beside in any process, and publishing an expiry that waits renews it.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Protocol

from common.broker.letters import DeadLetter
from common.messages import Event, Message, Queue

MAX_ATTEMPTS = 8


class Delivery(Protocol):
    """A message handed to a handler, which settles it once: ack, retry, defer or reject."""

    @property
    def message(self) -> Message:
        """What is to be done."""

    @property
    def queue(self) -> Queue:
        """Where it came from."""

    @property
    def attempt(self) -> int:
        """1 for the first time."""

    def ack(self) -> None:
        """Done with: it is not delivered again. What is published for its key from now on is."""

    def retry(self, delay: float) -> None:
        """Deliver it again, `delay` seconds from now at the earliest, as the next attempt."""

    def defer(self, delay: float) -> None:
        """Deliver it again, `delay` seconds from now at the earliest, as the same attempt.

        For what was not begun, since its turn has not come.
        """

    def reject(self, reason: str) -> None:
        """Keep it in the dead-letter queue, for people."""


class Broker(Protocol):
    """A connection to the queue; every method may be called from any thread and none blocks long."""

    @property
    def connected(self) -> bool:
        """Whether messages can be published now, as far as is known."""

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        """Queue `message`; the future ends when it is safe, or with BrokerUnavailable."""

    def consume(
        self,
        queues: Sequence[Queue],
        slots: int,
        handler: Callable[[Delivery], None],
        *,
        reserved: int = 0,
    ) -> None:
        """Hand messages to `handler`, on up to `slots` threads at once, earlier queues first.

        `reserved` of the slots, fewer than all, are for the first queue alone.
        The threads are kept, so a handler may keep things per thread. A handler that raises is
        logged, and its message retried after a pause; so is one left unsettled. Call at most once.
        """

    def emit(self, event: Event) -> None:
        """Tell every subscriber, this process's own included; never raises, may be lost."""

    def subscribe(
        self, listener: Callable[[Event], None], on_gap: Callable[[], None] = lambda: None
    ) -> None:
        """Call `listener` with every event, on a thread of the broker: it must not block.

        `on_gap` is called, likewise, when events may have been missed: once listening has begun,
        and after a lost connection or an overflow.
        """

    def depth(self, queue: Queue) -> int:
        """How many messages wait in `queue` now, delayed ones not counted; BrokerUnavailable."""

    def dead(self) -> int:
        """How many messages lie in the dead-letter queue; raises BrokerUnavailable."""

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The oldest of them, at most `limit` and MOST_LISTED; raises BrokerUnavailable.

        Of two who look in the same moment each may see a part.
        """

    def retry_dead(self, ids: Collection[str] | None = None) -> int:
        """Have these letters, None for all, delivered again as first attempts; how many are.

        One whose queue is full or not known stays. Raises BrokerUnavailable.
        """

    def drop_dead(self, ids: Collection[str] | None = None) -> int:
        """Remove these letters for good, None for all; how many there were. BrokerUnavailable."""

    def close(self, drain: float = 0.0) -> None:
        """Take no new work, give running handlers `drain` seconds, then close; not from a handler.

        What was not settled is delivered again, to whoever consumes next; what a handler that
        outlasts this decides later has no effect.
        """
