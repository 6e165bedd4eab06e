"""Room within `maxsize`, allotted to fills before they are committed (fetcher.allotment waits for it).

Whatever is allotted counts as used, until its blob is counted or the fill has come to nothing: so
blobs never take up more than the limit, however quickly they arrive and however slowly others go.
What is allotted stands in the fill's folder. The next janitor in charge finds it there.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from common import walk
from common.digest import Digest
from common.fills import Fill
from common.paths import Layout
from janitor.usage import Usage

# What a file takes up is a multiple of this, on most file systems.
_BLOCK = 4096


class Allotments:
    """What has been allotted to the fills of one storage folder; for one thread."""

    def __init__(self, layout: Layout, usage: Usage) -> None:
        """Nothing is allotted, as far as we know."""
        self._layout = layout
        self._usage = usage
        self._sizes: dict[Digest, int] = {}

    def give(self, room: Callable[[], float]) -> None:
        """Allot up to `room` bytes, less what is allotted already, to fills that have none yet."""
        running = list(self._running())
        # Only now: what has become a blob takes up room as one.
        left = room() - sum(self._sizes.values())
        for fill, size in running:
            more = _in_blocks(size) - self._sizes.get(fill.digest, 0)
            if 0 < more <= left:
                self._allot(fill, size)
                self._sizes[fill.digest] = _in_blocks(size)
                left -= more

    def _allot(self, fill: Fill, size: int) -> None:
        fill.allot(size)
        if self._is_committed(fill, size):
            # Its holder, who did not wait, may have cleared it before.
            fill.give_room_back()
            with suppress(OSError):
                os.rmdir(fill.folder)

    def _running(self) -> Iterator[tuple[Fill, int]]:
        """Fills whose blob is to come, and its size; what they have been allotted is known then."""
        fills = {digest: Fill(self._layout, digest) for digest in walk.digests(self._layout.fills)}
        # The folder before the blob: a fill leaves the one after it has made the other.
        for digest in self._sizes.keys() - fills.keys():
            self._usage.arrived(digest)
            del self._sizes[digest]
        for digest, fill in fills.items():
            size = _wanted(fill)
            if size is None or self._is_committed(fill, size):
                self._usage.arrived(digest)
                self._sizes.pop(digest, None)
                continue
            if digest not in self._sizes and (allotted := fill.allotted()):
                self._sizes[digest] = _in_blocks(allotted)
            yield fill, size

    def _is_committed(self, fill: Fill, size: int) -> bool:
        """Whether the blob is there; one of another size is damaged, and filled anew."""
        try:
            return os.stat(self._layout.blob(fill.digest)).st_size == size
        except FileNotFoundError:
            return False


def _in_blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _wanted(fill: Fill) -> int | None:
    """The bytes a fill will have in the end; None while that is not known, or nobody goes on with it."""
    for epoch in reversed(fill.spools()):
        if fill.is_proven(epoch):
            with suppress(FileNotFoundError):
                return os.stat(fill.spool(epoch)).st_size
    started = fill.started()
    return None if started is None else started.size
