"""How much is kept of each upstream, for metrics: a slow walk now and then, never a scrape's doing."""

import os
import threading
import time
from collections import Counter
from contextlib import suppress

from common import filesystem, logs
from common.config import Config
from common.digest import Digest
from common.links import Links
from common.metrics.catalogue import (
    CACHED,
    CACHED_BLOBS,
    COUNT_SECONDS,
    COUNTED,
    FREE,
    LIMIT,
    SIZE,
    upstream_label,
)
from common.paths import Layout
from common.source import source_of
from janitor import walk
from janitor.pace import Interrupted, Pace
from janitor.periodic import Periodic

_log = logs.get(__name__)

# Seconds between two walks, at least, and how many times as long as one took: a twentieth of a
# thread's time, however much there is.
_INTERVAL = 15.0
_REST = 20.0

# Seconds between two looks at the file system.
_LOOK = 5.0


class Holdings:
    """Counts one storage folder's blobs by the upstreams of the repositories that link them."""

    def __init__(self, config: Config, stop: threading.Event) -> None:
        self._layout = Layout(config.storage.rootdirectory)
        self._links = Links(self._layout)
        self._upstreams = tuple(config.proxy.upstreams)
        self._stop = stop

    def __call__(self) -> float:
        """Count; the seconds until the next time."""
        began = time.monotonic()
        with suppress(Interrupted):
            self._count(Pace(self._stop, lambda: None, float("inf")))
            COUNTED.of().set(round(time.time(), 1))
            COUNT_SECONDS.of().set(round(time.monotonic() - began, 3))
        return max(_INTERVAL, _REST * (time.monotonic() - began))

    def _count(self, pace: Pace) -> None:
        sizes: Counter[str] = Counter(dict.fromkeys(self._upstreams, 0))
        blobs: Counter[str] = Counter()
        for digest in walk.digests(self._layout.blobs):
            pace.step()
            size = self._size(digest)
            for upstream in self._linked_by(digest):
                sizes[upstream] += size
                blobs[upstream] += 1
        for upstream, size in sizes.items():
            CACHED.of(upstream_label(upstream)).set(size)
            CACHED_BLOBS.of(upstream_label(upstream)).set(blobs[upstream])

    def _size(self, digest: Digest) -> int:
        try:
            return filesystem.occupied(os.stat(self._layout.blob(digest)))
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def _linked_by(self, digest: Digest) -> set[str]:
        references = self._links.references(digest)
        return {source_of(each.repository, self._upstreams).upstream for each, _ in references}


class StorageWatch:
    """Keeps the gauges of storage current, on threads of its own."""

    def __init__(self, config: Config) -> None:
        """Nothing runs before `start`."""
        self._root = config.storage.rootdirectory
        self._stop = threading.Event()
        self._rounds = [
            Periodic("holdings", Holdings(config, self._stop), self._stop),
            Periodic("file system", self._look, self._stop),
        ]
        if config.janitor.maxsize:
            LIMIT.of().set(config.janitor.maxsize)

    def start(self) -> None:
        """Begin."""
        for rounds in self._rounds:
            rounds.start()

    def close(self) -> None:
        """End; a walk that hangs is left to itself."""
        self._stop.set()
        for rounds in self._rounds:
            rounds.join(1.0)

    def _look(self) -> float:
        found = os.statvfs(self._root)
        FREE.of().set(found.f_bavail * found.f_frsize)
        SIZE.of().set(found.f_blocks * found.f_frsize)
        return _LOOK
