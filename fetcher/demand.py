"""Whether a client has come to wait for a fill that was begun ahead of its clients."""

import time
from collections.abc import Callable

from common import logs
from common.fills import Fill
from fetcher.urgency import is_urgent, somebody_waits

log = logs.get(__name__)

# Seconds between two looks: chunks come more often than a client need be noticed.
LOOK = 0.05


class Demand:
    """For one holder of a fill, on the thread of its job."""

    def __init__(self, fill: Fill, clock: Callable[[], float] = time.monotonic) -> None:
        """Say in `fill` whether anybody waits; where bytes came before, that is said already."""
        self._fill = fill
        self._clock = clock
        self._next_look = 0.0
        if is_urgent():
            fill.end_ahead()
        elif fill.started() is None:
            fill.begin_ahead()

    def look(self) -> None:
        """The work is urgent from here on if somebody has come."""
        if is_urgent() or self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK
        if not self._fill.is_ahead():
            log.info("a client waits for what is fetched ahead", digest=self._fill.digest)
            somebody_waits()
