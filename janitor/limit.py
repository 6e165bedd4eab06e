"""The size limit: when there is too much, and how much of it has to go.

`maxsize` bounds what blobs, condemned blobs and running downloads take up; a download counts with
its full size from its first byte on, so that there is room when it is complete; a blob is committed
when it has been allotted its room, so blobs never take up more. `minfree` bounds
what is left free on the file system, whoever uses it.

On a local file system, condemned blobs are removed at once when a limit is reached, the oldest
first: their grace is for readers on other machines, and an open file outlives its removal. On one
that machines share they keep their grace, and take up space beside `maxsize` until it is over.
"""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from common import filesystem, logs
from common.claims import Claim, Claims
from common.errors import LeaseLost
from common.metrics.catalogue import USED
from common.paths import Layout
from janitor.allotments import Allotments
from janitor.arrivals import Arrivals
from janitor.eviction import Eviction
from janitor.ranking import Ranking
from janitor.trash import Trash
from janitor.usage import Usage

_log = logs.get(__name__)

# Seconds. Events tell when to look; this is for those that were lost, and for `minfree`, of which
# nobody tells.
_INTERVAL = 5.0
_SOON = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, 0 for none; `lowwater` as a share of one."""

    maxsize: int = 0
    minfree: int = 0
    lowwater: float = 0.9

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self.maxsize > 0 or self.minfree > 0


class SizeLimit:
    """Keeps one storage folder within its limits."""

    def __init__(
        self,
        layout: Layout,
        limits: Limits,
        usage: Usage,
        arrivals: Arrivals,
        ranking: Ranking,
        eviction: Eviction,
        trash: Trash,
        claims: Claims,
        *,
        is_adopted: Callable[[], bool],
        is_local: bool,
    ) -> None:
        """`is_adopted` as the vacuum's; `is_local` as common.filesystem's.

        `on_shortage` is told that candidates run out, or that there never were any.
        """
        self.on_shortage: Callable[[], None] = lambda: None
        self._layout = layout
        self._limits = limits
        self._usage = usage
        self._arrivals = arrivals
        self._ranking = ranking
        self._eviction = eviction
        self._trash = trash
        self._claims = claims
        self._is_adopted = is_adopted
        self._is_local = is_local
        self._allotments = Allotments(layout, usage)
        self._pause = min(_INTERVAL, claims.lease / 4)
        self._claim: Claim | None = None
        # Of the two threads below, one must not use the claim's file when the other has closed it.
        self._claiming = threading.Lock()

    def __call__(self) -> float:
        """Make room if it is needed; the seconds until the next look."""
        if not self.is_in_charge():
            self._arrivals.forget()
            return self._pause
        self._arrivals.settle()
        self._allot()
        excess = self.excess()
        if excess <= 0:
            return self._pause
        # Before all links are known to have references, links would go and their blobs stay.
        if not self._is_adopted():
            return _SOON
        self._make_room(excess)
        self._allot()
        return self._pause if self.excess() <= 0 else _SOON

    def beat(self) -> float:
        """Say, on another thread, that who makes room lives: on a slow disk that takes longer than a
        lease, and meanwhile fills would wait for nobody. The seconds until the next time.
        """
        # What is wrong with the claim, the next look finds.
        with self._claiming, suppress(LeaseLost, OSError):
            if self._claim is not None:
                self._claim.beat()
        return self._pause

    def is_in_charge(self) -> bool:
        """Whether it is this janitor that keeps the limit: one of all, for as long as it lives.

        Each knows what it has removed itself. Were they to take turns, every one of them would
        remove as much as had arrived.
        """
        with self._claiming:
            if self._is_still():
                return True
            self._claim = self._claims.acquire(self._layout.limit_claim)
            if self._claim is None:
                return False
        self._usage.forget()
        self.on_shortage()
        return True

    def _is_still(self) -> bool:
        if self._claim is None:
            return False
        try:
            self._claim.beat()
        except LeaseLost:
            self._release()
            return False
        return True

    def holds(self) -> bool:
        """Whether this janitor kept the limit when it last looked."""
        return self._claim is not None

    def close(self) -> None:
        """Leave it to another one."""
        with self._claiming:
            self._release()

    def _release(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()

    def excess(self) -> int:
        """Bytes that have to go, down to the low-water mark; 0 or less while all is well."""
        limits, trash = self._limits, self._usage.trash
        excess = 0
        if self._usage.blobs is not None:
            USED.of("blobs").set(self._usage.blobs)
            USED.of("trash").set(trash)
        if limits.maxsize and self._usage.blobs is not None:
            used = self._usage.blobs + self._usage.in_flight() + (trash if self._is_local else 0)
            low = int(limits.maxsize * limits.lowwater)
            # From halfway on, so that it is done before the limit is reached.
            if used > (limits.maxsize + low) // 2:
                excess = used - low
        if limits.minfree:
            free = filesystem.free(self._layout.root) + (0 if self._is_local else trash)
            if free < limits.minfree:
                excess = max(excess, int(limits.minfree / limits.lowwater) - free)
        return excess

    def _make_room(self, excess: int) -> None:
        missing = excess - self._empty_trash(excess)
        if missing > 0:
            # Each blob is removed as soon as it is condemned: on a busy disk many take a while.
            missing -= self._eviction.make_room(missing, after=self._gained)
        if missing > 0 or self._ranking.runs_low:
            self.on_shortage()

    def _gained(self) -> None:
        """Some room was made: whoever waits for it has it at once."""
        self._empty_trash(sys.maxsize)
        self._allot()

    def _allot(self) -> None:
        self._allotments.give(self._room)

    def _room(self) -> float:
        """Bytes for what is still to be committed. As much as there is, where nothing is counted yet,
        or could go: then waiting would be of no use.
        """
        blobs = self._usage.blobs
        if not self._limits.maxsize or blobs is None or not self._is_adopted():
            return float("inf")
        return self._limits.maxsize - blobs - (self._usage.trash if self._is_local else 0)

    def _empty_trash(self, wanted: int) -> int:
        return self._trash.make_room(wanted) if self._is_local else 0
