"""The circuit breaker: an upstream that does not answer is not asked by every job in turn.

    closed ── failures in a row, for some time ──▶ is it there? ── no ──▶ open
       ▲                                                │ yes              │ its time is over
       └────────────────────────────────────────────────┴── is it there? ◀─┘
                                                             no: open for twice as long

A failure is no connection, no answer in time, or a 5xx. Any other status is an answer, 401, 403,
404 and 429 too: whoever says them is there.

What jobs ask for is chosen by clients, and a registry that is well may fail at a path of theirs
each time (distribution 2.8 answers 500 for the manifest of a layer's digest). So failures only
raise the question; a request of our own answers it, before the breaker opens and before it closes.
"""

import threading
import time
from collections.abc import Callable

from common import logs
from fetcher.unasked import Unasked

log = logs.get(__name__)

FAILURES = 5
"""In a row, before it is asked whether it is there."""
SECONDS = 2.0
"""They must have lasted at least: many slots together fail that often within one hiccup."""
FIRST = 1.0
LONGEST = 60.0

# What somebody is told who comes while the question is open, in seconds: it is decided soon.
_PROBE_TIME = 1.0


class Breaker:
    """One upstream's; thread-safe."""

    def __init__(
        self,
        shown: str,
        is_there: Callable[[], bool],
        *,
        failures: int = FAILURES,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shown` is how logs call the upstream; `is_there` asks it, and raises nothing."""
        self._shown = shown
        self._is_there = is_there
        self._most = failures
        self._lasting = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._failing_since = 0.0
        self._open_for = 0.0  # 0: closed
        self._open_until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether requests are kept back."""
        return self._open_for > 0

    def enter(self) -> None:
        """Raise Unasked while it is open; the first whose turn it is finds out whether it must be."""
        with self._lock:
            if not self._open_for:
                return
            left = self._open_until - self._clock()
            if left > 0 or self._probing:
                raise _unasked(left)
            self._probing = True
        if not self._probe():
            raise _unasked(self._open_for)

    def answered(self) -> None:
        """It is there."""
        if not (self._failures or self._open_for):
            return
        with self._lock:
            was_open = self._open_for > 0
            self._failures, self._open_for = 0, 0.0
        if was_open:
            log.info("the upstream answers again", upstream=self._shown)

    def failed(self) -> None:
        """It did not answer, or not well."""
        with self._lock:
            # What was asked before it opened says nothing new.
            if self._open_for or self._probing or not self._is_enough():
                return
            self._probing = True
        self._probe()

    def _probe(self) -> bool:
        """Whether it is there, asked by one at a time; without the lock, as that may take long."""
        try:
            is_there = self._is_there()
            if is_there:
                self.answered()
            else:
                self._open()
            return is_there
        finally:
            self._probing = False

    def _open(self) -> None:
        with self._lock:
            self._open_for = min(2 * self._open_for, LONGEST) if self._open_for else FIRST
            self._open_until = self._clock() + self._open_for
            seconds = self._open_for
        log.warning("the upstream is left alone", upstream=self._shown, seconds=seconds)

    def _is_enough(self) -> bool:
        now = self._clock()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        return self._failures >= self._most and now - self._failing_since >= self._lasting


def _unasked(left: float) -> Unasked:
    return Unasked("not asked, since it has not answered for a while", max(left, _PROBE_TIME))
