"""How many requests one upstream gets from this process at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fetcher.unasked import Unasked
from fetcher.urgency import is_urgent

# Seconds to wait for a turn: less than a client waits, so that it is still told why.
LONGEST_WAIT = 20.0

# What a client is then told to wait, in seconds.
_COME_BACK = 5.0


class Turns:
    """So many turns at most; what somebody waits for goes before what nobody waits for yet."""

    def __init__(self, most: int, longest_wait: float = LONGEST_WAIT) -> None:
        """`longest_wait` in seconds."""
        self._most = most
        self._longest_wait = longest_wait
        self._changed = threading.Condition()
        self._taken = 0
        self._spares = 0
        self.waiting = 0
        """How many wait for one now."""
        self._urgent_waiting = 0

    @property
    def taken(self) -> int:
        """How many are taken now."""
        return self._taken

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a turn within; raises Unasked when there is none in time."""
        self._take()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def take_spare(self, most: int) -> bool:
        """Whether a turn is the caller's, without waiting, until `give_back_spare`.

        `most` are taken so at the same time, and none that somebody waits for.
        """
        with self._changed:
            if self._spares >= most or self.waiting or self._taken >= self._most:
                return False
            self._spares += 1
            self._taken += 1
            return True

    def give_back_spare(self) -> None:
        """End such a turn."""
        with self._changed:
            self._spares -= 1
            self._taken -= 1
            self._changed.notify_all()

    def _take(self) -> None:
        urgent = is_urgent()
        with self._changed:
            self.waiting += 1
            self._urgent_waiting += urgent
            try:
                if not self._changed.wait_for(lambda: self._may(urgent), self._longest_wait):
                    raise Unasked(
                        f"all {self._most} connections to it have been in use for long", _COME_BACK
                    )
                self._taken += 1
            finally:
                self.waiting -= 1
                self._urgent_waiting -= urgent
                # Others may have waited for this one to get what it wanted, or to give up.
                self._changed.notify_all()

    def _may(self, urgent: bool) -> bool:
        return self._taken < self._most and (urgent or not self._urgent_waiting)
