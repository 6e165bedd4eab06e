"""Having the kernel write out what has come so far, before the sync at the end.

On a disk of this machine, so that little is left for the sync of a large file, which holds a slot and
the disk: a sync of 90 MB took 25 to 65 ms. It is not begun for less, as clients do not wait for the
sync, and writing out takes processor time from the download that they do wait for. On a file server,
so that those who follow the file on other machines have its bytes as they come: a client keeps what
is written to itself until it is asked for it.

sync_file_range(2) with SYNC_FILE_RANGE_WRITE: begins to write and waits for nothing, and promises
nothing either; the sync at the end does.
"""

import ctypes
import os
import time

from common.filesystem import is_local

_STEP_BYTES = 64 << 20
"""How much at once: less costs more than it brings."""

_STEP_SECONDS = 0.1
"""How seldom on a file server: its clients look no more often than that."""

_WRITE = 2

# Whether other machines read on a device, by its number: to find out takes longer than a write.
_shared: dict[int, bool] = {}

_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


class Writeback:
    """What of one file that only grows has been begun with."""

    def __init__(self, path: str, fd: int) -> None:
        """Of the empty file at `path`, open as `fd`."""
        self._fd = fd
        self._is_shared = _is_shared(path, fd)
        self._begun = 0
        self._begun_at = float("-inf")

    def grown(self, size: int) -> None:
        """The file has `size` bytes now: begin with the new ones if it is time to."""
        if size - self._begun >= _STEP_BYTES or (self._is_shared and self._is_time()):
            begin(self._fd, self._begun, size - self._begun)
            self._begun = size

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._begun_at < _STEP_SECONDS:
            return False
        self._begun_at = now
        return True


def _is_shared(path: str, fd: int) -> bool:
    device = os.fstat(fd).st_dev
    if device not in _shared:
        _shared[device] = not is_local(os.path.dirname(path))
    return _shared[device]


def begin(fd: int, offset: int, count: int) -> None:
    """Begin with these bytes of the file; where a file system cannot, nothing happens."""
    if _sync_file_range is not None:
        _sync_file_range(fd, offset, count, _WRITE)
