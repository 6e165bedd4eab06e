"""bcrypt, off the event loop: a comparison takes 1 to 300 ms of processor time."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import bcrypt

# One thread a worker, so that hashing never has more processors than serving; waiting for it are
# at most these many, some seconds' work. Whoever comes then is told to come again.
_MOST_WAITING = 128

# What bcrypt looks at of a password; the library refuses longer ones, distribution cuts them.
_MOST_BYTES = 72

_NICENESS = 10


class Crowded(Exception):
    """So many wait already that this one would wait too long."""


class Hashing:
    """Compares passwords with hashes, one after the other, behind everything else."""

    def __init__(self) -> None:
        """The thread starts with the first comparison."""
        self._pool = ThreadPoolExecutor(1, "bcrypt", initializer=_step_back)
        self._waiting = 0

    async def matches(self, password: bytes, hashed: bytes) -> bool:
        """Whether the hash is of this password. Raises Crowded."""
        if self._waiting >= _MOST_WAITING:
            raise Crowded
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, is_of, password, hashed)
        finally:
            self._waiting -= 1


def _step_back() -> None:
    """Give this thread less of a busy processor than those that serve (on Linux each has its own)."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def is_of(password: bytes, hashed: bytes) -> bool:
    """Whether a hash is of this password, found out here and now."""
    try:
        return bcrypt.checkpw(password[:_MOST_BYTES], hashed)
    except ValueError:  # a password with a NUL byte, in some versions
        return False
