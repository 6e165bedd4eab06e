"""The trash: condemned blobs, kept for their grace.

The grace is for readers on other machines: on NFS an open file ends when another machine removes
it, where a local one lives on until it is closed. It is also the time in which an error of ours,
or a death between two steps, can be made good.
"""

import heapq
import os
from collections.abc import Iterable
from operator import attrgetter

from common import logs
from common.blobstore import Condemned, FileBlobStore
from common.claims import Claims
from common.durable import remove_file
from common.filesystem import occupied
from janitor.pace import Pace
from janitor.usage import Usage
from janitor.vacuum import Vacuum

_log = logs.get(__name__)

# Condemned blobs that are put in order at a time.
_BATCH = 1000


class Trash:
    """The trash of one storage folder; `grace` in seconds."""

    def __init__(
        self, blobs: FileBlobStore, vacuum: Vacuum, claims: Claims, usage: Usage, *, grace: float
    ) -> None:
        """Keep what is condemned for `grace`; `usage` is told what goes."""
        self._blobs = blobs
        self._vacuum = vacuum
        self._claims = claims
        self._usage = usage
        self._grace = grace

    def empty(self, pace: Pace) -> None:
        """Put back what is wanted after all, remove what has had its grace."""
        now = self._claims.now()
        for condemned in self._blobs.condemned():
            pace.step()
            # Condemned in the future: the clock was set back.
            is_over = abs(now - condemned.since) >= self._grace
            if not self._put_back(condemned) and is_over:
                self._remove(condemned)

    def make_room(self, wanted: int) -> int:
        """Remove the oldest, whatever is left of their grace, until `wanted` bytes are gone.

        How many are. What is wanted after all is put back here too.
        """
        gone = 0
        while gone < wanted and (batch := self._oldest()):
            removed = self._remove_up_to(wanted - gone, batch)
            if removed == 0:
                break
            gone += removed
        return gone

    def _oldest(self) -> list[Condemned]:
        return heapq.nsmallest(_BATCH, self._blobs.condemned(), key=attrgetter("since"))

    def _remove_up_to(self, wanted: int, batch: Iterable[Condemned]) -> int:
        gone = 0
        for condemned in batch:
            if gone >= wanted:
                break
            if not self._put_back(condemned):
                gone += self._remove(condemned)
        return gone

    def _put_back(self, condemned: Condemned) -> bool:
        if not self._vacuum.put_back(condemned):
            return False
        _log.warning("condemned blob put back", digest=condemned.digest)
        return True

    def _remove(self, condemned: Condemned) -> int:
        """The bytes that are gone."""
        try:
            size = occupied(os.stat(condemned.path))
        except FileNotFoundError:
            return 0
        if not remove_file(condemned.path):
            return 0
        self._usage.removed(condemned.path, size)
        _log.info("blob removed", digest=condemned.digest)
        return size
