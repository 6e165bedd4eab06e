"""Whether a blob is being served at this moment."""

import errno
import fcntl
import os
import signal


def is_being_read(path: str) -> bool:
    """Whether a process of this machine has the file open.

    The kernel knows: it gives a write lease on a file only while nobody else has it open
    (fcntl(2), F_SETLEASE). So those who serve need not say so, and pay nothing. Where there are
    no leases (NFS, and files of another user) nobody can tell, and the answer is no.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Who opens the file while we have the lease makes the kernel signal us; SIGIO, which it
        # would use, ends a process. This one is ignored where nobody asks for it. The other
        # waits for the moment until we give the lease back.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    else:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(fd)
