"""The limit on bandwidth: how fast this process takes bytes from one upstream, all streams together."""

import threading
import time
from collections.abc import Callable

from fetcher.bodies import CHUNK_BYTES
from fetcher.urgency import is_urgent

# Seconds' worth of bytes that may come at once after a pause.
_BURST = 0.25

# The part of a second that one read should bring at most, so that streams take turns often.
_SHARE = 0.1
_LEAST_READ = 4096

# What nobody waits for gives way to the rest, but not for ever: a stream that stands still is one
# that the upstream hangs up on.
_LONGEST_COURTESY = 1.0


class Pace:
    """Makes those who took bytes wait until they were due; thread-safe.

    A bucket of tokens, kept as the moment from which it is not in debt any more.
    """

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """0: no limit."""
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._due = 0.0

    @property
    def read_size(self) -> int:
        """How much to read at once."""
        if not self._rate:
            return CHUNK_BYTES
        return max(_LEAST_READ, min(CHUNK_BYTES, int(self._rate * _SHARE)))

    def took(self, count: int) -> None:
        """Wait until `count` bytes more are due."""
        if not self._rate:
            return
        if not is_urgent():
            self._give_way()
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now - _BURST) + count / self._rate
            pause = self._due - now
        if pause > 0:
            self._sleep(pause)

    def _give_way(self) -> None:
        end = self._clock() + _LONGEST_COURTESY
        while (now := self._clock()) < end and self._due > now:
            self._sleep(min(self._due, end) - now)
