"""Waiting for room within `janitor.maxsize`, before bytes that have come become the cache's.

The janitor that keeps the limit allots room to each fill (janitor.allotments), most often long
before its last byte. Clients do not wait with the fill: its bytes are proven by then.
"""

import time
from collections.abc import Callable

from common import logs
from common.fills import Fill

log = logs.get(__name__)

# How long is waited, in seconds: less than a client's patience, which a fill of the same blob for
# another repository may have begun to try.
_PATIENCE = 10.0
# After all have waited that long in vain: nobody is asked to do the same again so soon.
_RESTING = 30.0
_PAUSE = 0.01


class Allotment:
    """Room within the limit; thread-safe."""

    def __init__(
        self,
        limit: int,
        is_kept: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`limit` in bytes, 0 for none; `is_kept` tells whether a janitor that lives keeps it."""
        self._limit = limit
        self._is_kept = is_kept
        self._clock = clock
        self._sleep = sleep
        self._resting_until = float("-inf")
        # When any fill of this process was seen to have been given its room.
        self._given_at = float("-inf")

    def wait(self, fill: Fill, size: int, go_on: Callable[[], None]) -> None:
        """Return when the fill has room for `size` bytes, or it is no use to wait for it.

        `go_on` is called meanwhile: it raises to stop. Of no use it is where nobody keeps the limit,
        or the blob alone is beyond it; and nobody waits for ever.
        """
        if size > self._limit:
            return
        begun = self._clock()
        while fill.allotted() < size:
            now = self._clock()
            if now < self._resting_until or not self._is_kept():
                return
            if now >= begun + _PATIENCE:
                log.warning("no room was made within janitor.maxsize", digest=fill.digest)
                # Where others had theirs meanwhile, room is made, if too slowly for all that comes.
                if self._given_at < begun:
                    self._resting_until = now + _RESTING
                return
            go_on()
            self._sleep(_PAUSE)
        self._given_at = self._clock()


def unlimited() -> Allotment:
    """Where there is no limit."""
    return Allotment(0, lambda: False)
