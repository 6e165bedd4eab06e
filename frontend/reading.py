"""Reading files without holding up the loop.

What is in the page cache is read at once. What is not is read on a thread, since a disk or a file
server may take its time and everyone else's requests would wait for it.
"""

import asyncio
import errno
import os

# 256 KiB costs least CPU per byte of 64 KiB, 256 KiB and 1 MiB (bench/).
CHUNK = 256 * 1024

# EOPNOTSUPP is what a file system says that cannot tell.
_NOT_CACHED = {errno.EAGAIN, errno.EOPNOTSUPP}

_PROBE = [bytearray(1)]


async def read_at(fd: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes at `offset`; fewer only at the file's end, or where it is being written."""
    if is_cached(fd, size, offset):
        return os.pread(fd, size, offset)
    return await asyncio.to_thread(os.pread, fd, size, offset)


def is_cached(fd: int, size: int, offset: int) -> bool:
    """Whether reading `size` bytes at `offset` will wait for nothing.

    The first and the last byte tell of the pages between: they were read or written together.
    """
    if not size:
        return True
    try:
        for position in (offset + size - 1, offset):
            os.preadv(fd, _PROBE, position, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in _NOT_CACHED:
            return False
        raise
    return True


def read_cached(fd: int, into: memoryview, offset: int) -> int | None:
    """Fill `into` with what is cached at `offset`; how many bytes, 0 at the file's end, None: not cached."""
    try:
        return os.preadv(fd, [into], offset, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in _NOT_CACHED:
            return None
        raise
