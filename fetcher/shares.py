"""How many of a process's slots one upstream may have, so that none takes them all.

A slot is held as long as an upstream takes. One that is silent, or slow with large blobs, would
soon have every slot, and what is up would not be asked either. So of several upstreams

    one        goes on taking slots while it has fewer than twice as many as are free, and the last
               free one is left to an upstream that has none: of 8, one alone gets 6;
    blobs      of one upstream have half of all slots (of a single one all but a quarter): manifests
               and tags find a slot beside them;
    ahead      what nobody waits for has half of what blobs have.

Whose share is taken waits its turn: a moment in its slot, where the upstream's jobs of that kind
end one after another, else in the queue, from which it comes back after a pause. That is no
attempt. The pauses are spread, so that however many wait, few a second come to ask.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from common.broker import Delivery
from common.messages import FetchBlob, Job, Queue
from fetcher import watching

# Seconds. Jobs of a kind that ended so lately are quick ones: one more is waited for as long.
_QUICK = 0.1

# Seconds until a job comes back, at least and at most, and between two of the same upstream. The
# first is the shortest wait that every queue has (common.broker.rabbitmq.ladder).
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0
_APART = 0.02


class Load(Enum):
    """What kind of work a job is to its upstream."""

    SMALL = "small"
    BLOB = "blob"
    AHEAD = "ahead"  # a blob that nobody waits for


@dataclass(slots=True)
class _Standing:
    """What one upstream has, and when its next job comes back."""

    running: Counter[Load] = field(default_factory=Counter)
    ended: dict[Load, float] = field(default_factory=dict)
    back: float = 0.0

    @property
    def blobs(self) -> int:
        return self.running[Load.BLOB] + self.running[Load.AHEAD]


class Shares:
    """The slots of one process; thread-safe."""

    def __init__(
        self,
        slots: int,
        upstreams: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`upstreams` are those configured; jobs for others fail at once, and need no share."""
        self._slots = slots
        self._upstreams = frozenset(upstreams)
        self._clock = clock
        alone = len(self._upstreams) <= 1
        self._alone = alone
        self._most_blobs = max(1, slots - slots // 4 if alone else slots // 2)
        self._most_ahead = max(1, self._most_blobs // 2)
        self._changed = threading.Condition()
        self._standings: defaultdict[str, _Standing] = defaultdict(_Standing)
        self._taken = 0

    def among(self, handle: Callable[[Delivery], None]) -> Callable[[Delivery], None]:
        """`handle`, for deliveries whose turn it is; the others are deferred."""

        def handle_in_turn(delivery: Delivery) -> None:
            job = delivery.message
            if not isinstance(job, Job) or job.source.upstream not in self._upstreams:
                handle(delivery)
                return
            with self.share(job.source.upstream, _load(job, delivery.queue)) as pause:
                if pause is None:
                    handle(delivery)
                else:
                    watching.job(job, "deferred")
                    delivery.defer(pause)

        return handle_in_turn

    @contextmanager
    def share(self, upstream: str, load: Load) -> Iterator[float | None]:
        """One more slot is the upstream's within; else the seconds until there may be one."""
        pause = self._take(upstream, load)
        try:
            yield pause
        finally:
            if pause is None:
                self._give_back(upstream, load)

    def _take(self, upstream: str, load: Load) -> float | None:
        with self._changed:
            standing = self._standings[upstream]
            quick = self._clock() - standing.ended.get(load, float("-inf")) < _QUICK
            wait = _QUICK if quick else 0.0
            if not self._changed.wait_for(lambda: self._may(standing, load), wait):
                return self._pause(standing)
            standing.running[load] += 1
            self._taken += 1
            return None

    def _give_back(self, upstream: str, load: Load) -> None:
        with self._changed:
            standing = self._standings[upstream]
            standing.running[load] -= 1
            standing.ended[load] = self._clock()
            self._taken -= 1
            self._changed.notify_all()

    def _may(self, standing: _Standing, load: Load) -> bool:
        if load is not Load.SMALL and standing.blobs >= self._most_blobs:
            return False
        if load is Load.AHEAD and standing.running[load] >= self._most_ahead:
            return False
        has, free = standing.running.total(), self._slots - self._taken
        if self._alone or has == 0:
            return free > 0
        return free > 1 and has < 2 * free

    def _pause(self, standing: _Standing) -> float:
        now = self._clock()
        back = max(now + _FIRST_PAUSE, standing.back + _APART)
        standing.back = min(back, now + _LONGEST_PAUSE)
        return standing.back - now


def _load(job: Job, queue: Queue) -> Load:
    if not isinstance(job, FetchBlob):
        return Load.SMALL
    return Load.BLOB if queue is Queue.INTERACTIVE else Load.AHEAD
