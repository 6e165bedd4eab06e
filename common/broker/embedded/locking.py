"""Files that say by their lock that somebody is there."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIRST_PAUSE_SECONDS = 0.0002
_LONGEST_PAUSE_SECONDS = 0.005


def try_lock(path: Path, *, create: bool = True) -> int | None:
    """A descriptor that holds the lock on `path`, or None when somebody else does.

    Raises FileNotFoundError when the file is missing and not to be created. Close the descriptor
    to unlock; the kernel does it when the process dies, however it dies.
    """
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(path, descriptor):
            return descriptor
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
            os.close(descriptor)
            raise
    os.close(descriptor)
    return None


@contextmanager
def locked(path: Path, within: float) -> Iterator[None]:
    """Hold the lock on `path`; TimeoutError when it is not to be had `within` that many seconds.

    Tries with short pauses rather than block: a holder that was stopped must not stop us too.
    """
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE_SECONDS
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("another process holds the queue")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    try:
        yield
    finally:
        # Explicitly: a child that is between fork and exec shares the descriptor, and closing
        # ours alone would leave the lock with it.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the locked file is still the one others would find.

    It may have been removed between our opening and our locking it.
    """
    try:
        found, ours = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
