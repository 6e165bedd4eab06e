"""What this process works on, by key."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from common.broker.rabbitmq.parcel import Parcel
from common.broker.rabbitmq.taps import Ticket

# Whether the broker still takes a delivery for ours.
Holds: TypeAlias = Callable[[Ticket], bool]


@dataclass(slots=True, eq=False)
class Run:
    """A key that is being worked on.

    `ticket` is the delivery that stands for it at the broker; when that is not held any more
    (its connection is gone, a continuation took its place), the next delivery of the key does.
    `since` is when it was taken, by the monotonic clock. `leaving` is set once it was decided that
    the message goes elsewhere: its copy may be back before we hear that it is published, and is
    then not a repetition of this run but the next one.
    """

    key: str
    parcel: Parcel
    ticket: Ticket
    since: float = field(default_factory=time.monotonic)
    leaving: bool = False


class Runs:
    """The running keys, and those that rest until their retry arrives."""

    def __init__(self) -> None:
        self._running: dict[str, Run] = {}
        # Until when, by the monotonic clock.
        self._resting: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether anything runs; for any thread."""
        return bool(self._running)

    def begin(self, key: str, parcel: Parcel, ticket: Ticket) -> Run:
        """Note that `key` runs."""
        run = self._running[key] = Run(key, parcel, ticket)
        return run

    def end(self, run: Run) -> None:
        """Note that it does not any more."""
        if self._running.get(run.key) is run:
            del self._running[run.key]

    def join(self, key: str, parcel: Parcel, ticket: Ticket, holds: Holds) -> bool:
        """Whether `key` runs or rests, so that this delivery is not to be run."""
        run = self._running.get(key)
        if run is None or run.leaving:
            return self._rests(key, parcel)
        if not holds(run.ticket):
            run.ticket, run.since = ticket, time.monotonic()
        return True

    def relies_on(self, key: str, ticket: Ticket) -> bool:
        """Whether this delivery stands for the run of `key`."""
        run = self._running.get(key)
        return run is not None and run.ticket is ticket

    def rest(self, key: str, delay: float) -> None:
        """Note that a retry of `key` is on its way, due in `delay` seconds.

        A new publication of the key joins it rather than hurry it: an upstream asked for that
        pause, and every waiting client publishes again and again.
        """
        now = time.monotonic()
        self._resting = {other: until for other, until in self._resting.items() if until > now}
        self._resting[key] = now + delay

    def _rests(self, key: str, parcel: Parcel) -> bool:
        if parcel.attempt > 1 or parcel.due_ms:
            # The retry itself, or what was deferred, or redelivered because that could not be
            # published.
            self._resting.pop(key, None)
        return time.monotonic() < self._resting.get(key, 0.0)

    def detached(self, holds: Holds) -> int:
        """How many keys run without a delivery that stands for them."""
        return sum(not holds(run.ticket) for run in self._running.values())

    def held_longer_than(self, seconds: float, holds: Holds) -> Iterator[Run]:
        """Runs whose delivery is held that long; each is told of once in that time."""
        now = time.monotonic()
        for run in list(self._running.values()):
            if now - run.since > seconds and holds(run.ticket):
                run.since = now
                yield run
