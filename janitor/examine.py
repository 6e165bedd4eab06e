"""Whether a blob is what its digest says: read whole, slowly, and without pushing others out of memory."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from common import logs
from common.blobstore import FileBlobStore, OpenBlob, says_damaged
from common.digest import Digest
from common.paths import Layout
from common.seals import Seal, read_seal, write_seal

_log = logs.get(__name__)

_CHUNK = 1 << 20


class Verdict(Enum):
    """What a look at a blob found."""

    RIGHT = "right"
    CORRUPT = "corrupt"
    LOST = "lost"  # the disk does not give its bytes back
    UNREADABLE = "unreadable"  # for a reason that may pass
    GONE = "gone"

    @property
    def is_damage(self) -> bool:
        """Whether the blob is none any more."""
        return self in {Verdict.CORRUPT, Verdict.LOST}


class Bandwidth:
    """At most so many bytes a second, 0 for any number; `rest` is given the seconds to wait."""

    def __init__(self, bytes_per_second: int, rest: Callable[[float], object]) -> None:
        """Begin with nothing spent."""
        self._rate = bytes_per_second
        self._rest = rest
        self._free_at = 0.0

    def spend(self, count: int) -> None:
        """Wait until `count` more bytes are within the bound."""
        if not self._rate:
            return
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + count / self._rate
        self._rest(self._free_at - now)


class Examiner:
    """Examines blobs of one storage folder, and puts aside what is damaged.

    Safe beside everything that goes on there: a blob that is replaced while it is read is left
    alone, and a stream that has a damaged one open is not disturbed.
    """

    def __init__(self, layout: Layout, blobs: FileBlobStore, bandwidth: Bandwidth) -> None:
        """Read no faster than `bandwidth`."""
        self._layout = layout
        self._blobs = blobs
        self._bandwidth = bandwidth

    def examine(self, digest: Digest, step: Callable[[int], None]) -> Verdict:
        """The verdict; a damaged blob is in quarantine then, if storage lets us.

        `step` is called with the number of bytes after each piece, and may raise to stop.
        """
        try:
            fd = os.open(self._layout.blob(digest), os.O_RDONLY | os.O_CLOEXEC)
            blob = OpenBlob(fd, os.fstat(fd).st_size)
        except (FileNotFoundError, NotADirectoryError):
            return Verdict.GONE
        except OSError as error:
            return self._unreadable(digest, error)
        try:
            verdict = self._judge(digest, blob, step)
            if verdict.is_damage:
                self._blobs.quarantine(digest, blob)
        finally:
            blob.close()
        return verdict

    def _judge(self, digest: Digest, blob: OpenBlob, step: Callable[[int], None]) -> Verdict:
        seal = read_seal(blob.fd)
        if seal is not None and seal.size != blob.size:
            return Verdict.CORRUPT
        try:
            right = self._hash(digest, blob, step) == digest.hex
        except OSError as error:
            return self._unreadable(digest, error)
        if right:
            write_seal(blob.fd, Seal(blob.size, time.time()))
        return Verdict.RIGHT if right else Verdict.CORRUPT

    def _hash(self, digest: Digest, blob: OpenBlob, step: Callable[[int], None]) -> str:
        hasher = digest.hasher()
        position = 0
        while content := _read(blob.fd, position):
            hasher.update(content)
            position += len(content)
            step(len(content))
            self._bandwidth.spend(len(content))
        return hasher.hexdigest()

    def _unreadable(self, digest: Digest, error: OSError) -> Verdict:
        _log.error("a blob cannot be read", digest=digest, reason=error.strerror)
        return Verdict.LOST if says_damaged(error) else Verdict.UNREADABLE


def _read(fd: int, position: int) -> bytes:
    """A piece of a file; what was not in memory before is not there afterwards.

    Else a look at everything would push out what clients ask for.
    """
    buffer = bytearray(_CHUNK)
    with suppress(OSError):  # not in memory, or a file system that cannot tell
        count = os.preadv(fd, [buffer], position, os.RWF_NOWAIT)
        if count:
            return bytes(memoryview(buffer)[:count])
    content = os.pread(fd, _CHUNK, position)
    with suppress(OSError):
        os.posix_fadvise(fd, position, len(content), os.POSIX_FADV_DONTNEED)
    return content
