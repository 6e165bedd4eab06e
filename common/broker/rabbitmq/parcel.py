"""A message as RabbitMQ delivers it, and where it goes on to."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from common.broker.letters import DeadLetter, letter
from common.broker.rabbitmq.ladder import step_for
from common.broker.rabbitmq.topology import DEAD, JOBS, wait_name
from common.messages import Queue

_ATTEMPT = "x-attempt"
_DUE = "x-due"
_REASON = "x-reason"
_QUEUE = "x-queue"
_DIED = "x-died"


@dataclass(frozen=True, slots=True)
class Parcel:
    """Body and what we say beside it.

    `due_ms` is in milliseconds since 1970, 0 for at once; with a `reason` it is a dead letter.

    What others put into a received message's headers is left behind, `x-death` above all: 3.x
    takes a republished one for its own, and would drop the message as going in circles.
    """

    queue: Queue
    body: bytes
    attempt: int = 1
    due_ms: int = 0
    reason: str = ""

    @classmethod
    def received(cls, queue: Queue, body: bytes, headers: Mapping[str, Any] | None) -> "Parcel":
        """What was delivered.

        To the attempts that consumers counted come those the broker did, when a consumer died:
        3.10 sends its count always, later ones from the second delivery on.
        """
        headers = headers or {}
        attempt = max(1, _number(headers, _ATTEMPT, 1)) + _number(headers, "x-delivery-count", 0)
        return cls(queue, body, attempt, _number(headers, _DUE, 0))

    @property
    def is_early(self) -> bool:
        """Whether it has further to climb down its ladder."""
        return self.due_ms > time.time() * 1000

    def delayed(self, delay: float) -> "Parcel":
        """The same, due in `delay` seconds; at once when that is not positive."""
        due = math.ceil((time.time() + delay) * 1000) if delay > 0 else 0
        return replace(self, due_ms=due)

    def again(self, delay: float) -> "Parcel":
        """The next attempt, due in `delay` seconds."""
        return replace(self, attempt=self.attempt + 1).delayed(delay)

    def dead(self, reason: str) -> "Parcel":
        """The same, for the dead letters."""
        return replace(self, reason=reason[:500])

    @property
    def headers(self) -> dict[str, Any]:
        """What to publish it with."""
        headers: dict[str, Any] = {_ATTEMPT: self.attempt}
        if self.due_ms:
            headers[_DUE] = self.due_ms
        if self.reason:
            died = math.floor(time.time() * 1000)
            headers |= {_REASON: self.reason, _QUEUE: self.queue.value, _DIED: died}
        return headers

    @property
    def exchange(self) -> str:
        """Where to publish it: to its queue, the step that fits its delay, or the dead letters."""
        if self.reason:
            return DEAD
        remaining = self.due_ms - time.time() * 1000
        return wait_name(step_for(math.floor(remaining))) if remaining > 0 else JOBS


def dead_letter(body: bytes, headers: Mapping[str, Any] | None) -> DeadLetter:
    """The dead letter that was found with these headers.

    One that the broker itself put there, past the delivery limit, has its `x-death` in place of ours
    (rabbitmq.com/docs/dlx): the queue's name, and when, in seconds.
    """
    headers = headers or {}
    deaths = headers.get("x-death") or [{}]
    named = str(headers.get(_QUEUE) or deaths[0].get("queue", ""))
    queue = named.removeprefix("entrepot.").removesuffix(".v1")
    reason = str(headers.get(_REASON) or deaths[0].get("reason") or "unknown")
    died_ms = _number(headers, _DIED, 0)
    if not died_ms and isinstance(moment := deaths[0].get("time"), datetime):
        died_ms = math.floor(moment.replace(tzinfo=UTC).timestamp() * 1000)
    return letter(queue, body, reason, max(1, _number(headers, _ATTEMPT, 1)), died_ms)


def letter_headers(dead: DeadLetter) -> dict[str, Any]:
    """What to publish a dead letter with that is to be the same one."""
    return {
        _ATTEMPT: dead.attempts,
        _REASON: dead.reason,
        _QUEUE: dead.queue,
        _DIED: round(dead.died * 1000),
    }


def _number(headers: Mapping[str, Any], name: str, default: int) -> int:
    value = headers.get(name, default)
    return value if isinstance(value, int) else default
