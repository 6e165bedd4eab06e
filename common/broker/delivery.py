"""A message in a handler's hands, and what becomes of it: the same for every backend."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from common import logs
from common.broker import MAX_ATTEMPTS, Delivery
from common.messages import Message, Queue
from common.metrics.catalogue import DEAD_LETTERS, RETRIES

log = logs.get(__name__)

# Seconds until a message whose handler raised is tried again: doubled each time, up to the second.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0

ATTEMPTS_USED_UP = "attempts used up"


@dataclass(frozen=True, slots=True)
class Ack:
    """Done with."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Again, after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Defer:
    """Again, after `delay` seconds, as if it had not been handed out."""

    delay: float


@dataclass(frozen=True, slots=True)
class Reject:
    """To the dead letters; `reason` is kept with it."""

    reason: str


Outcome: TypeAlias = Ack | Retry | Defer | Reject


class Handed:
    """A Delivery: settled at most once, by whichever thread comes first."""

    def __init__(
        self, message: Message, queue: Queue, attempt: int, settle: Callable[[Outcome], None]
    ) -> None:
        """`settle` is called once, with what the handler decided."""
        self.message = message
        self.queue = queue
        self.attempt = attempt
        self._settle = settle
        self._lock = threading.Lock()
        self._settled = False

    @property
    def settled(self) -> bool:
        """Whether it was decided about."""
        return self._settled

    def ack(self) -> None:
        """See Delivery."""
        self._decide(Ack())

    def retry(self, delay: float) -> None:
        """See Delivery."""
        used_up = self.attempt >= MAX_ATTEMPTS
        self._decide(Reject(ATTEMPTS_USED_UP) if used_up else Retry(max(0.0, delay)))

    def defer(self, delay: float) -> None:
        """See Delivery."""
        self._decide(Defer(max(0.0, delay)))

    def reject(self, reason: str) -> None:
        """See Delivery."""
        self._decide(Reject(reason))

    def _decide(self, outcome: Outcome) -> None:
        with self._lock:
            if self._settled:
                return
            self._settled = True
        if isinstance(outcome, Retry):
            RETRIES.of(self.queue.value).add()
        if isinstance(outcome, Reject):
            DEAD_LETTERS.of(self.queue.value).add()
            log.error(
                "message dead-lettered",
                key=self.message.key,
                queue=self.queue.value,
                attempt=self.attempt,
                reason=outcome.reason,
            )
        self._settle(outcome)


def serve(handler: Callable[[Delivery], None], delivery: Handed) -> None:
    """Run `handler`; what it raises or leaves undecided is retried after a growing pause."""
    try:
        handler(delivery)
    except Exception:
        log.exception("handler raised", key=delivery.message.key, attempt=delivery.attempt)
    if not delivery.settled:
        delivery.retry(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (delivery.attempt - 1)))
