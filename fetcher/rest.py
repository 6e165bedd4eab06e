"""Until when an upstream wants to be left alone, as all fetchers of a storage folder know it.

The moment is kept in a file, so that what one fetcher was told all obey. It is a hint: a file that
is lost, or cannot be written, costs one request that the upstream refuses again. Machines compare
the moment with their own clocks; being seconds apart makes the rest longer or shorter by as much.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from common import logs
from common.durable import write_file
from common.errors import UpstreamError
from fetcher.answers import MAX_RETRY_AFTER

log = logs.get(__name__)

# Seconds, where the upstream does not say how long: the first time, and the longest, doubling
# when it had to say so again soon after.
FIRST = 2.0
LONGEST = 60.0
_SOON = 60.0


class Rest:
    """One upstream's; thread-safe."""

    def __init__(
        self,
        shown: str,
        path: str | None = None,
        *,
        temporary: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Share through the file `path`, written by way of the folder `temporary`; None: with nobody.

        `clock` is in unix seconds.
        """
        self._shown = shown
        self._path = path
        self._temporary = temporary
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._seen: tuple[int, int] | None = None
        self._unsaid = 0.0  # the last pause we chose ourselves
        self._unsaid_end = 0.0

    def left(self) -> float:
        """Seconds until it may be asked again; 0: now."""
        self._look()
        left = self._until - self._clock()
        # A moment no upstream could have asked for: somebody's clock was wrong.
        return left if 0 < left <= MAX_RETRY_AFTER else 0.0

    def check(self) -> None:
        """Raise UpstreamError while it wants to be left alone."""
        left = self.left()
        if left:
            raise UpstreamError(
                f"not asked, since it wants to be left alone for {left:.0f} seconds more",
                status=503,
                code="TOOMANYREQUESTS",
                retry_after=left,
            )

    def begin(self, seconds: float | None) -> float:
        """Leave it alone for `seconds`, None where it did not say; for how long that is."""
        with self._lock:
            now = self._clock()
            pause = self._chosen(now) if seconds is None else min(seconds, MAX_RETRY_AFTER)
            is_news = now + pause > self._until + 1
            self._until = max(self._until, now + pause)
            until = self._until
        if is_news:
            log.warning("the upstream wants a rest", upstream=self._shown, seconds=round(pause, 1))
            self._tell(until)
        return pause

    def _chosen(self, now: float) -> float:
        again = now < self._unsaid_end + _SOON
        self._unsaid = min(2 * self._unsaid, LONGEST) if again and self._unsaid else FIRST
        self._unsaid_end = now + self._unsaid
        return self._unsaid

    def _tell(self, until: float) -> None:
        if self._path is None:
            return
        try:
            write_file(self._path, json.dumps({"until": until}).encode(), temporary=self._temporary)
        except OSError as error:
            log.warning(
                "the other fetchers are not told", upstream=self._shown, reason=error.strerror
            )

    def _look(self) -> None:
        """Take in what others wrote, if they have."""
        if self._path is None:
            return
        try:
            found = os.stat(self._path)
        except OSError:
            return
        mark = (found.st_ino, found.st_mtime_ns)
        if mark == self._seen:
            return
        until = _read(self._path)
        with self._lock:
            self._seen = mark
            self._until = max(self._until, until)


def _read(path: str) -> float:
    with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
        with open(path, "rb") as file:
            wire: Any = json.loads(file.read(4096))
        until = wire["until"]
        if isinstance(until, int | float):
            return float(until)
    return 0.0
