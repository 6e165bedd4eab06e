"""Reading files without holding up the loop."""

import asyncio
import errno
import os

# 256 KiB costs least CPU per byte of 64 KiB, 256 KiB and 1 MiB (bench/).
CHUNK = 256 * 1024


async def read_at(fd: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes at `offset`; fewer only at the file's end, or where it is being written.

    What is in the page cache is read at once. What is not is read on a thread, since a disk or a
    file server may take its time and everyone else's requests would wait for it.
    """
    if _is_cached(fd, size, offset):
        return os.pread(fd, size, offset)
    return await asyncio.to_thread(os.pread, fd, size, offset)


def _is_cached(fd: int, size: int, offset: int) -> bool:
    # The first and the last byte tell of the pages between: they were read or written together.
    probe = bytearray(1)
    try:
        for position in (offset + size - 1, offset):
            os.preadv(fd, [probe], position, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP}:
            return False
        raise
    return True
