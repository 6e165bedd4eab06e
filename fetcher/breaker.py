"""The circuit breaker: an upstream that does not answer is not asked by every job in turn.

    closed ── failures in a row, for some time ──▶ open ── its time is over ──▶ one request: the probe
       ▲                                            ▲                                    │
       └───────── anything that is an answer ───────┼────────────────────────────────────┤
                                                    └── for twice as long ── it failed ──┘

A failure is no connection, no answer in time, or a 5xx. Any other status is an answer, 401, 403,
404 and 429 too: whoever says them is there.
"""

import threading
import time
from collections.abc import Callable

from common import logs
from fetcher.unasked import Unasked

log = logs.get(__name__)

FAILURES = 5
"""In a row, before it opens."""
SECONDS = 2.0
"""They must have lasted at least: many slots together fail that often within one hiccup."""
FIRST = 1.0
LONGEST = 60.0

# What somebody is told who meets a probe under way, in seconds: it is decided soon.
_PROBE_TIME = 1.0


class Breaker:
    """One upstream's; thread-safe."""

    def __init__(
        self,
        shown: str,
        *,
        failures: int = FAILURES,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shown` is how logs call the upstream."""
        self._shown = shown
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
        """Whether requests are kept back, all or all but one."""
        return self._open_for > 0

    def enter(self) -> bool:
        """Whether the caller, who may ask now, is the probe; raises Unasked while it is open.

        Who has entered says `answered` or `failed` where one of the two was so, and leaves.
        """
        with self._lock:
            if not self._open_for:
                return False
            left = self._open_until - self._clock()
            if left > 0 or self._probing:
                raise Unasked(
                    "not asked, since it has not answered for a while", max(left, _PROBE_TIME)
                )
            self._probing = True
            return True

    def leave(self, *, probe: bool) -> None:
        """Be done, as what `enter` said."""
        if probe:
            with self._lock:
                self._probing = False

    def answered(self) -> None:
        """It is there."""
        if not (self._failures or self._open_for):
            return
        with self._lock:
            was_open = self._open_for > 0
            self._failures, self._open_for = 0, 0.0
        if was_open:
            log.info("the upstream answers again", upstream=self._shown)

    def failed(self, *, probe: bool) -> None:
        """It did not answer."""
        with self._lock:
            if self._open_for:
                # What was asked before it opened says nothing new.
                pause = min(2 * self._open_for, LONGEST) if probe else 0.0
            else:
                pause = FIRST if self._is_enough() else 0.0
            if pause:
                self._open_for = pause
                self._open_until = self._clock() + pause
        if pause:
            log.warning("the upstream is left alone", upstream=self._shown, seconds=pause)

    def _is_enough(self) -> bool:
        now = self._clock()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        return self._failures >= self._most and now - self._failing_since >= self._lasting
