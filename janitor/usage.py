"""How much of the limit is used, known at any moment without a walk.

A walk counts all blobs; from then on events tell what has come, and our own parts what has gone.
What other janitors remove, and events that were lost, are known with the next walk. Until then
the figure is rather too high than too low: then something is removed a little early, which the
other way round would be too late.
"""

import os
import threading
from collections import OrderedDict
from contextlib import suppress

from common.claims import Claims
from common.digest import Digest
from common.filesystem import occupied
from common.fills import Fill
from common.paths import Layout
from janitor import walk
from janitor.pace import Pace

# Seconds. A blob written longer ago than this, when a walk began, had its name by then.
_WRITING = 600.0

# Young blobs that are remembered as counted, and what lies in the trash while that is. A blob that is
# forgotten may be counted twice.
_MOST_KNOWN = 100_000


class Usage:
    """The bytes that one storage folder's blobs, trash and running downloads take up."""

    def __init__(self, layout: Layout, claims: Claims) -> None:
        """Nothing is known before the first `count`."""
        self._layout = layout
        self._claims = claims
        self._lock = threading.Lock()
        self._blobs: int | None = None
        self._trash = 0
        # Blobs that the walk and events may both tell of: those written after `_young`. Which of
        # the two was first cannot be told by a clock, and not at all by ctime: a seal changes it.
        self._known: OrderedDict[Digest, None] = OrderedDict()
        self._young = 0.0
        self._arrived = 0
        # While the trash is walked over: what is in it, by its path. What comes meanwhile and what
        # goes is known, whether the walk has passed its place or not.
        self._found: dict[str, int] | None = None

    @property
    def blobs(self) -> int | None:
        """Bytes of all blobs; None while they have never been counted."""
        return self._blobs

    @property
    def trash(self) -> int:
        """Bytes of what is condemned."""
        return self._trash

    def forget(self) -> None:
        """Know nothing until the next `count` has ended."""
        with self._lock:
            self._blobs = None

    def in_flight(self) -> int:
        """Bytes of running downloads, each as large as its upstream says it will be."""
        return sum(self._filling(digest) for digest in walk.digests(self._layout.fills))

    def _filling(self, digest: Digest) -> int:
        fill, here = Fill(self._layout, digest), 0
        for epoch in fill.spools():
            with suppress(FileNotFoundError):
                here += occupied(os.stat(fill.spool(epoch)))
        started = fill.started()
        return here if started is None else max(here, started.size or 0)

    def count(self, pace: Pace) -> None:
        """Walk all blobs and the trash."""
        found: dict[str, int] = {}
        with self._lock:
            self._young = self._claims.now() - _WRITING
            self._known.clear()
            self._arrived = 0
            self._found = found
        more = sum(self._find(entry, found, pace) for entry in walk.entries(self._layout.trash))
        with self._lock:
            self._trash = sum(found.values()) + more
            self._found = None
        blobs = sum(self._walked(digest, pace) for digest in walk.digests(self._layout.blobs))
        with self._lock:
            self._blobs = blobs + self._arrived

    def _find(self, entry: os.DirEntry[str], found: dict[str, int], pace: Pace) -> int:
        """Bytes in the trash that there is no room for in `found`."""
        pace.step()
        # Looked at within the lock: whoever removes it says so after that, or before our look.
        with self._lock, suppress(FileNotFoundError):
            size = occupied(entry.stat())
            if entry.path not in found and len(found) >= _MOST_KNOWN:
                return size
            found[entry.path] = size
        return 0

    def _walked(self, digest: Digest, pace: Pace) -> int:
        pace.step()
        found = self._look(digest)
        with self._lock:
            if found is None or digest in self._known:
                return 0
            if found.st_mtime >= self._young:
                self._know(digest)
            return occupied(found)

    def arrived(self, digest: Digest) -> bool:
        """Whether a blob has come of which we did not know; told again, it changes nothing."""
        found = self._look(digest)
        with self._lock:
            if found is None or found.st_mtime < self._young or digest in self._known:
                return False
            self._know(digest)
            self._add(occupied(found))
            return True

    def condemned(self, digest: Digest, path: str) -> None:
        """A blob has gone to the trash, as `path`."""
        with suppress(FileNotFoundError):
            size = occupied(os.stat(path))
            with self._lock:
                self._trash += size
                if self._found is not None:
                    self._found[path] = size
                if self._blobs is not None:
                    self._blobs -= size
                # An old one may still be before the walk that runs, or behind it: too high then.
                if digest in self._known:
                    del self._known[digest]
                    self._arrived -= size

    def reprieved(self, digest: Digest, path: str) -> None:
        """A blob has come back from the trash, where it was `path`."""
        if (found := self._look(digest)) is not None:
            with self._lock:
                self._leaves_trash(path, occupied(found))
                self._know(digest)
                self._add(occupied(found))

    def removed(self, path: str, size: int) -> None:
        """`path`, of so many bytes, is gone from the trash."""
        with self._lock:
            self._leaves_trash(path, size)

    def _leaves_trash(self, path: str, size: int) -> None:
        self._trash = max(0, self._trash - size)
        if self._found is not None:
            self._found.pop(path, None)

    def _know(self, digest: Digest) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.popitem(last=False)
        self._known[digest] = None

    def _add(self, size: int) -> None:
        self._arrived += size
        if self._blobs is not None:
            self._blobs += size

    def _look(self, digest: Digest) -> os.stat_result | None:
        try:
            return os.stat(self._layout.blob(digest))
        except (FileNotFoundError, NotADirectoryError):
            return None
