"""When to sweep, and that only one of several janitors does."""

import threading

from common import logs
from common.claims import Claim, Claims
from common.errors import LeaseLost
from common.paths import Layout
from janitor.adoption import Adoption
from janitor.leftovers import Leftovers
from janitor.pace import Interrupted, Pace
from janitor.sweep import Sweep

_log = logs.get(__name__)


class Sweeper:
    """Sweeps at the start and every `interval` seconds, unless another janitor has just done so."""

    def __init__(
        self,
        *,
        layout: Layout,
        claims: Claims,
        adoption: Adoption,
        sweep: Sweep,
        leftovers: Leftovers,
        interval: float,
        stop: threading.Event,
    ) -> None:
        """Give up in the middle of a sweep when `stop` is set."""
        self._folder = layout.claim("sweep")
        self._claims = claims
        self._adoption = adoption
        self._sweep = sweep
        self._leftovers = leftovers
        self._interval = interval
        self._stop = stop

    def __call__(self) -> float:
        """Sweep if it is time; the seconds until it may be time again."""
        wait = self._wait()
        if wait > 0:
            return wait
        claim = self._claims.acquire(self._folder)
        if claim is None:
            return self._claims.lease
        try:
            self._run(claim)
        finally:
            claim.release()
        return self._wait()

    def _run(self, claim: Claim) -> None:
        pace = Pace(self._stop, claim.beat, self._claims.lease)
        try:
            self._sweep.run(pace)
            self._leftovers.clear(pace)
        except LeaseLost:
            # We were held up for too long. What both of us do is safe; one of us is enough.
            _log.warning("sweep left to another janitor")
        except Interrupted:
            _log.info("sweep interrupted")

    def _wait(self) -> float:
        """Seconds until the next sweep by anybody."""
        walked = self._adoption.last_walk()
        if walked is None or not self._adoption.is_complete():
            return 0.0
        # A walk in the future is a clock that was set back.
        return min(walked + self._interval - self._claims.now(), self._interval)
