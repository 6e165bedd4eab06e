"""Room within `maxsize`, allotted to fills before they are committed (fetcher.allotment waits for it).

Whatever is allotted counts as used, until its blob is counted or the fill has come to nothing: so
blobs never take up more than the limit, however quickly they arrive and however slowly others go.
What is allotted stands in the fill's folder. The next janitor in charge finds it there.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from common import walk
from common.digest import Digest
from common.fills import Fill
from common.paths import Layout
from janitor.usage import Usage

# What a file takes up is a multiple of this, on most file systems.
_BLOCK = 4096


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """What a fill needs; in the order in which fills are given it."""

    is_under_way: bool
    """Else all of it has come, and only the room is waited for."""
    since: int
    """In nanoseconds, since some moment in the past."""
    size: int
    """Bytes."""


class Allotments:
    """What has been allotted to the fills of one storage folder; for one thread."""

    def __init__(self, layout: Layout, usage: Usage) -> None:
        """Nothing is allotted, as far as we know."""
        self._layout = layout
        self._usage = usage
        self._sizes: dict[Digest, int] = {}

    def give(self, room: Callable[[], float]) -> None:
        """Allot up to `room` bytes, less what is allotted already, to fills that have none yet.

        Who has waited longest comes first: in any other order new ones may pass one by for good, where
        what goes is hardly as much as what comes.
        """
        running = sorted(self._running(), key=lambda each: each[1])
        # Only now: what has become a blob takes up room as one.
        left = room() - sum(self._sizes.values())
        for fill, wanted in running:
            more = _in_blocks(wanted.size) - self._sizes.get(fill.digest, 0)
            if 0 < more <= left:
                self._allot(fill, wanted.size)
                self._sizes[fill.digest] = _in_blocks(wanted.size)
                left -= more

    def _allot(self, fill: Fill, size: int) -> None:
        fill.allot(size)
        if self._is_committed(fill, size):
            # Its holder, who did not wait, may have cleared it before.
            fill.give_room_back()
            with suppress(OSError):
                os.rmdir(fill.folder)

    def _running(self) -> Iterator[tuple[Fill, Wanted]]:
        """Fills whose blob is to come; what they have been allotted is known then."""
        fills = {digest: Fill(self._layout, digest) for digest in walk.digests(self._layout.fills)}
        # The folder before the blob: a fill leaves the one after it has made the other.
        for digest in self._sizes.keys() - fills.keys():
            self._usage.arrived(digest)
            del self._sizes[digest]
        for digest, fill in fills.items():
            wanted = _wanted(fill)
            if wanted is None or self._is_committed(fill, wanted.size):
                self._usage.arrived(digest)
                self._sizes.pop(digest, None)
                continue
            if digest not in self._sizes and (allotted := fill.allotted()):
                self._sizes[digest] = _in_blocks(allotted)
            yield fill, wanted

    def _is_committed(self, fill: Fill, size: int) -> bool:
        """Whether the blob is there; one of another size is damaged, and filled anew."""
        try:
            return os.stat(self._layout.blob(fill.digest)).st_size == size
        except FileNotFoundError:
            return False


def _in_blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _wanted(fill: Fill) -> Wanted | None:
    """What it will need in the end; None while that is not known, or nobody goes on with it."""
    for epoch in reversed(fill.spools()):
        if fill.is_proven(epoch):
            with suppress(FileNotFoundError):
                size = os.stat(fill.spool(epoch)).st_size
                return Wanted(is_under_way=False, since=epoch.start, size=size)
    started = fill.started()
    if started is None or started.size is None:
        return None
    return Wanted(is_under_way=True, since=started.epoch.start, size=started.size)
