"""Delays made of a few fixed steps.

RabbitMQ expires messages at the head of a queue only, so one queue cannot hold messages of
different delays: a short one would wait behind a long one (rabbitmq.com/docs/ttl). Hence a queue
for each step, and a longer delay climbs down: the largest step that fits, then the rest.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A wait queue's length: `name` stands in the queue's name, `ms` is its TTL."""

    name: str
    ms: int


_SECOND = 1000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR

STEPS = (
    Step("250ms", 250),
    Step("1s", _SECOND),
    Step("5s", 5 * _SECOND),
    Step("30s", 30 * _SECOND),
    Step("5m", 300 * _SECOND),
    Step("1h", _HOUR),
    Step("6h", 6 * _HOUR),
    Step("1d", _DAY),
    Step("7d", 7 * _DAY),
)


def step_for(remaining_ms: int) -> Step:
    """The largest step within `remaining_ms`, else the smallest: late by less than that, never early."""
    fitting = [step for step in STEPS if step.ms <= remaining_ms]
    return fitting[-1] if fitting else STEPS[0]
