"""What upstreams said they do not have, remembered for some seconds.

Each frontend remembers for itself, and so asks once more what another was just told.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from http import HTTPStatus

from common.errors import UpstreamError

SECONDS = 5.0
"""Shorter than a frontend's memory (frontend.memory), so that together it is not long either."""
MOST = 4096


class Absences:
    """By job key; thread-safe."""

    def __init__(
        self,
        seconds: float = SECONDS,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember each for `seconds`, and not more than `most`."""
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._until: OrderedDict[str, tuple[float, UpstreamError]] = OrderedDict()

    def note(self, key: str, error: UpstreamError) -> None:
        """Remember `error` as the answer to `key`, if it says that there is no such thing."""
        if error.status != HTTPStatus.NOT_FOUND or error.retryable:
            return
        # A copy: the error itself has a traceback, and with it all that the job has in hand.
        said = copy(error)
        with self._lock:
            now = self._clock()
            self._forget(now)
            self._until[key] = (now + self._seconds, said)
            self._until.move_to_end(key)

    def _forget(self, now: float) -> None:
        """What is too old, and the oldest where there are too many for one more."""
        while self._until:
            until, _ = next(iter(self._until.values()))
            if until > now and len(self._until) < self._most:
                return
            self._until.popitem(last=False)

    def raise_for(self, key: str) -> None:
        """Raise the answer remembered, if there is one."""
        with self._lock:
            found = self._until.get(key)
            if found is None:
                return
            if found[0] <= self._clock():
                del self._until[key]
                return
        # A new one each time: an error raised again and again grows by a traceback each time.
        error = found[1]
        raise UpstreamError(str(error), status=error.status, code=error.code, retryable=False)
