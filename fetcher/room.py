"""Room on the disk, taken before anybody is promised anything.

fallocate(2) with FALLOC_FL_KEEP_SIZE: the blocks are the file's, its length is not touched (readers
go by it). Python offers posix_fallocate alone, which lengthens the file.
"""

import ctypes
import errno
import os

_KEEP_SIZE = 1
_NOT_HERE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

FULL = {errno.ENOSPC, errno.EDQUOT}
"""What `OSError.errno` is when there is no room, on the disk or in a quota."""

_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def reserve(fd: int, size: int) -> None:
    """Have the file hold `size` bytes without asking for room again; raises OSError if it cannot.

    A file system that knows no reservation takes it for granted: there the write fails.
    """
    while size > 0 and _fallocate(fd, _KEEP_SIZE, 0, size) != 0:
        number = ctypes.get_errno()
        if number in _NOT_HERE:
            return
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
