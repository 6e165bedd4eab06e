"""A look at everything for the size limit: how much there is, and what may go first."""

import threading
import time
from collections.abc import Callable

from common import logs
from janitor.candidates import Candidates
from janitor.pace import Interrupted, Pace
from janitor.ranking import Ranking
from janitor.usage import Usage

_log = logs.get(__name__)

# Seconds between two surveys that nobody asked for, at least.
_INTERVAL = 60.0

# How many times as long as the last survey took it is to rest before the next: when nobody asks
# for it, and when somebody does.
_REST = 20.0
_SHORTEST_REST = 1.0


class Survey:
    """Surveys one storage folder, at the start, now and then, and when asked."""

    def __init__(
        self, usage: Usage, candidates: Candidates, ranking: Ranking, stop: threading.Event
    ) -> None:
        """Give up in the middle when `stop` is set.

        The end of one is told to `on_end`; there is none while nobody needs it, by `is_needed`.
        """
        self.is_needed: Callable[[], bool] = lambda: True
        self.on_end: Callable[[], None] = lambda: None
        self._usage = usage
        self._candidates = candidates
        self._ranking = ranking
        self._stop = stop
        self._ended = float("-inf")
        self._took = 0.0

    def __call__(self) -> float:
        """Survey, unless the last one is only just over; the seconds until the next."""
        if not self.is_needed():
            return _INTERVAL
        begun = time.monotonic()
        rest = self._ended + self._took * _SHORTEST_REST - begun
        if rest > 0:
            return rest
        try:
            self.run(Pace(self._stop, lambda: None, float("inf")))
        except Interrupted:
            _log.info("survey interrupted")
        self._ended = time.monotonic()
        self._took = self._ended - begun
        self.on_end()
        return max(_INTERVAL, self._took * _REST)

    def run(self, pace: Pace) -> None:
        """Count, then find candidates."""
        self._usage.count(pace)
        self._ranking.begin()
        self._ranking.replace(self._candidates.oldest(pace))
        _log.debug("survey finished", blobs=self._usage.blobs, trash=self._usage.trash)
