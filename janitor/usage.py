"""How much of the limit is used, known at any moment without a walk.

A walk counts all blobs; from then on events tell what has come, and our own parts what has gone.
What other janitors remove, and events that were lost, are known with the next walk. Until then
the figure is rather too high than too low: then something is removed a little early, which the
other way round would be too late.
"""

import os
import threading
from contextlib import suppress

from common.claims import Claims
from common.digest import Digest
from common.filesystem import occupied
from common.fills import Fill
from common.paths import Layout
from janitor import walk
from janitor.pace import Pace

# Blobs remembered since the last walk, so that none is counted twice.
_MOST_NEW = 100_000


class Usage:
    """The bytes that one storage folder's blobs, trash and running downloads take up."""

    def __init__(self, layout: Layout, claims: Claims) -> None:
        """Nothing is known before the first `count`."""
        self._layout = layout
        self._claims = claims
        self._lock = threading.Lock()
        self._blobs: int | None = None
        self._trash = 0
        # Blobs that came since the walk began: it counts by time of arrival, and leaves them to us.
        self._new: dict[Digest, float] = {}
        self._since = 0.0
        self._arrived = 0

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
        with self._lock:
            self._since = begun = self._claims.now()
            self._new, self._arrived = {}, 0
        trash = sum(self._in_trash(entry, pace) for entry in walk.entries(self._layout.trash))
        blobs = sum(
            self._before(digest, begun, pace) for digest in walk.digests(self._layout.blobs)
        )
        with self._lock:
            self._blobs = blobs + self._arrived
            self._trash = trash

    def _in_trash(self, entry: os.DirEntry[str], pace: Pace) -> int:
        pace.step()
        try:
            return occupied(entry.stat())
        except FileNotFoundError:
            return 0

    def _before(self, digest: Digest, begun: float, pace: Pace) -> int:
        pace.step()
        found = self._look(digest)
        return 0 if found is None or found.st_ctime >= begun else occupied(found)

    def arrived(self, digest: Digest) -> bool:
        """Whether a blob has come of which we did not know; told again, it changes nothing."""
        found = self._look(digest)
        with self._lock:
            # By ctime: when it was renamed into place.
            if found is None or found.st_ctime < self._since:
                return False
            if self._new.get(digest) == found.st_ctime:
                return False
            if len(self._new) >= _MOST_NEW:
                self._new.clear()
            self._new[digest] = found.st_ctime
            self._add(occupied(found))
            return True

    def condemned(self, digest: Digest, path: str) -> None:
        """A blob has gone to the trash, as `path`."""
        with suppress(FileNotFoundError):
            size = occupied(os.stat(path))
            with self._lock:
                self._new.pop(digest, None)
                self._trash += size
                if self._blobs is not None:
                    self._blobs -= size

    def reprieved(self, digest: Digest) -> None:
        """A blob has come back from the trash."""
        if (found := self._look(digest)) is not None:
            with self._lock:
                self._trash = max(0, self._trash - occupied(found))
                self._new[digest] = found.st_ctime
                self._add(occupied(found))

    def removed(self, size: int) -> None:
        """So many bytes are gone from the trash."""
        with self._lock:
            self._trash = max(0, self._trash - size)

    def _add(self, size: int) -> None:
        self._arrived += size
        if self._blobs is not None:
            self._blobs += size

    def _look(self, digest: Digest) -> os.stat_result | None:
        try:
            return os.stat(self._layout.blob(digest))
        except (FileNotFoundError, NotADirectoryError):
            return None
