"""The last hours, sampled every ten seconds, in memory that does not grow."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from common import logs
from common.metrics.catalogue import HITS, MISSES, RECEIVED, SENT
from common.metrics.kinds import Snapshot
from common.metrics.machine import Busy
from entrepot.console.figures import Figures

_log = logs.get(__name__)

INTERVAL = 10.0
"""Seconds between two samples."""
HOURS = (1, 6, 24)
"""What may be looked at; the longest of them is kept."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted: requests answered from storage, those that cost the upstream, bytes."""

    hits: float = 0.0
    misses: float = 0.0
    sent: float = 0.0
    received: float = 0.0

    @classmethod
    def in_(cls, snapshot: Snapshot) -> "Counts":
        """Since the beginning."""
        figures = Figures(snapshot)
        return cls(*(figures.total(each) for each in (HITS, MISSES, SENT, RECEIVED)))

    def since(self, before: "Counts") -> "Counts":
        """What came after `before`; what counts anew began at 0."""
        return Counts(
            max(0.0, self.hits - before.hits),
            max(0.0, self.misses - before.misses),
            max(0.0, self.sent - before.sent),
            max(0.0, self.received - before.received),
        )

    def and_(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            self.hits + other.hits,
            self.misses + other.misses,
            self.sent + other.sent,
            self.received + other.received,
        )

    @property
    def ratio(self) -> float | None:
        """Of what was asked for, how much cost the upstream nothing; None: nothing was."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time from `began` (unix seconds), and what was counted within the `seconds` of it
    that are known; None: none of them are.
    """

    began: float
    seconds: float
    counts: Counts | None


class History:
    """Samples what `collect` says, on a thread."""

    def __init__(self, collect: Callable[[], Snapshot]) -> None:
        self._collect = collect
        # Each with its moment, and the seconds it is about.
        self._samples: deque[tuple[float, float, Counts]] = deque(
            maxlen=round(max(HOURS) * _HOUR / INTERVAL)
        )
        self._last: tuple[float, Counts] | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ending.set()

    def take(self, now: float, snapshot: Snapshot) -> None:
        """Note a snapshot of `now`, in unix seconds."""
        counts = Counts.in_(snapshot)
        with self._lock:
            if self._last is not None:
                before, counted = self._last
                self._samples.append((now, max(now - before, 0.0), counts.since(counted)))
            self._last = now, counts

    def stretches(self, hours: int, number: int, now: float) -> list[Stretch]:
        """The last `hours` in so many stretches, the oldest first."""
        length = hours * _HOUR / number
        # By the clock, so that a stretch stays what it is while time goes on.
        first = (now // length - number + 1) * length
        found = [Stretch(first + place * length, 0.0, None) for place in range(number)]
        for at, seconds, counts in self._since(first):
            place = min(int((at - first) // length), number - 1)
            known = found[place]
            together = counts.and_(known.counts or Counts())
            found[place] = Stretch(known.began, known.seconds + seconds, together)
        return found

    def total(self, hours: int, now: float) -> Counts:
        """All of the last `hours`."""
        total = Counts()
        for _, _, counts in self._since(now - hours * _HOUR):
            total = total.and_(counts)
        return total

    def _since(self, moment: float) -> list[tuple[float, float, Counts]]:
        with self._lock:
            return [sample for sample in self._samples if sample[0] >= moment]

    def _run(self) -> None:
        while True:
            try:
                self.take(time.time(), self._collect())
            except (OSError, Busy, ValueError) as error:
                _log.debug("no sample", reason=str(error))
            if self._ending.wait(INTERVAL):
                return
