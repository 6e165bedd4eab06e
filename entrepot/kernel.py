"""What prctl(2) gives a supervisor; Python has no module for it."""

import ctypes
import os
import signal

# <linux/prctl.h>
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36

# Loaded here, so that nothing is looked for or locked between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process with SIGKILL when the thread that forked it ends.

    Called in the child. `parent` is the process that forked it: when that is gone already, the
    signal would never come, so the child ends at once.
    """
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends before them.

    So a supervisor sees all that it is responsible for, and sees when all of it is gone.
    """
    _prctl(_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
