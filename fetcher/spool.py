"""Spools: the bytes of a fill on their way, hashed as they are written (rules: common.fills)."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from common.digest import Digest
from common.durable import in_folder
from common.fills import Epoch, Fill
from fetcher.hashing import Hashing
from fetcher.room import reserve
from fetcher.writeback import Writeback

_COPY_BYTES = 1 << 20


class Spool:
    """A new file that only grows, and only by us."""

    def __init__(self, path: str, digest: Digest) -> None:
        """Create it; raises FileExistsError rather than share it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self.path = path
        self.size = 0
        self._digest = digest
        self._hasher = Hashing(digest)
        self._fd = in_folder(os.path.dirname(path), lambda: os.open(path, flags, 0o644))
        self._writeback = Writeback(path, self._fd)

    def reserve(self, total: int) -> None:
        """Take the room for `total` bytes; raises OSError when there is none."""
        reserve(self._fd, total)

    def append(self, content: bytes) -> None:
        """Add bytes at the end."""
        # Written before hashed: those who tail the spool have them a little sooner.
        view = memoryview(content)
        while view:
            view = view[os.write(self._fd, view) :]
        self._hasher.update(content)
        self.size += len(content)
        self._writeback.grown(self.size)

    @property
    def is_right(self) -> bool:
        """Whether the bytes so far are what the digest names."""
        return self._hasher.hexdigest() == self._digest.hex

    def sync(self) -> None:
        """Have the bytes survive a power cut."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Write no more. Idempotent."""
        self._hasher.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Spools:
    """The spools of one holder of a fill: the current one, and anew when it has to start over."""

    def __init__(self, fill: Fill, generation: int) -> None:
        """Begin one, of the claim's `generation`, that sorts after all that were there before."""
        self._fill = fill
        newest = max(fill.spools(), default=Epoch(0, 0))
        # A claim's generations begin anew when its folder was released with a spool left in it.
        self._generation = max(generation, newest.generation)
        self._last = newest.start
        self._begin()

    def _begin(self) -> None:
        # By the clock, so that no number is ever used twice in the life of a digest: see Epoch.
        self._last = max(self._last + 1, time.time_ns())
        self.epoch = Epoch(self._generation, self._last)
        self.current = Spool(self._fill.spool(self.epoch), self._fill.digest)

    def inherit(self, go_on: Callable[[], None]) -> None:
        """Begin with the bytes of whoever filled before us, and remove their spools.

        `go_on` is called at every step, and raises to stop. A dead holder's readers are sent to
        our copy before theirs is removed, so that they never find nothing; bytes that turn out
        wrong are found by the digest, like all others.
        """
        theirs = [epoch for epoch in self._fill.spools() if epoch != self.epoch]
        started = self._fill.started()
        # The longest, not the newest: that one may be a copy whose maker died while copying.
        for epoch in sorted(theirs, key=self._size, reverse=True)[:1]:
            for content in _read(self._fill.spool(epoch)):
                go_on()
                self.current.append(content)
        if started is not None and self.current.size:
            self._fill.start(self.epoch, started.size)
        for epoch in theirs:
            self._fill.discard(epoch)

    def _size(self, epoch: Epoch) -> int:
        with suppress(OSError):
            return os.stat(self._fill.spool(epoch)).st_size
        return 0

    def start_over(self) -> None:
        """Drop what we have, and begin with nothing."""
        self.discard()
        self._begin()

    def discard(self) -> None:
        """Drop what we have."""
        self.current.close()
        self._fill.discard(self.epoch)

    def discard_others(self) -> None:
        """Drop what others left; to make room."""
        for epoch in self._fill.spools():
            self._fill.discard(epoch)

    def leave(self) -> None:
        """Keep the bytes for whoever fills next, but send nobody to them."""
        self.current.close()
        if self.current.size:
            self._fill.suspend(self.epoch)
        else:
            self._fill.discard(self.epoch)


def _read(path: str) -> Iterator[bytes]:
    with suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
        while content := file.read(_COPY_BYTES):
            yield content
