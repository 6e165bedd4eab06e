"""How fast a walk through the whole storage goes: slowly, so that clients do not feel it."""

import threading
import time
from collections.abc import Callable

_BATCH = 200
_REST = 0.02


class Interrupted(Exception):
    """The process is to end before the walk has come to its end."""


class Pace:
    """Rests after every so many steps, says `beat` every quarter of `lease` (seconds)."""

    def __init__(self, stop: threading.Event, beat: Callable[[], None], lease: float) -> None:
        """End with Interrupted once `stop` is set; what `beat` raises ends the walk too."""
        self._stop = stop
        self._beat = beat
        self._beat_interval = lease / 4
        self._beaten = time.monotonic()
        self._steps = 0

    def step(self) -> None:
        """Call this before each thing that is looked at."""
        self._steps += 1
        if self._stop.is_set() or (self._steps % _BATCH == 0 and self._stop.wait(_REST)):
            raise Interrupted
        if time.monotonic() - self._beaten > self._beat_interval:
            self._beat()
            self._beaten = time.monotonic()
