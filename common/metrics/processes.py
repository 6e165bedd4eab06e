"""What the kernel says of this process."""

import os
import resource
import time
from contextlib import suppress

from common.metrics.catalogue import (
    BUILD,
    CPU,
    FILES,
    FILES_MAX,
    MEMORY,
    PROCESSES,
    STARTED,
    THREADS,
)
from common.metrics.kinds import Probe
from common.version import VERSION

_PAGE = os.sysconf("SC_PAGE_SIZE")

# Seconds between two looks at what the kernel has to count first.
_SELDOM = 10.0


def watch_process(role: str) -> Probe:
    """Tells of this process as one of `role`, from now on."""
    BUILD.of(VERSION).set(1)
    PROCESSES.of(role).set(1)
    STARTED.of(role).set(round(time.time(), 2))
    FILES_MAX.of(role).set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    cpu, memory, files, threads = CPU.of(role), MEMORY.of(role), FILES.of(role), THREADS.of(role)
    looked = float("-inf")

    def look() -> None:
        nonlocal looked
        cpu.set(round(time.process_time(), 2))
        if time.monotonic() - looked < _SELDOM:
            return
        looked = time.monotonic()
        with suppress(OSError, ValueError):
            memory.set(_resident())
            files.set(len(os.listdir("/proc/self/fd")))
            threads.set(len(os.listdir("/proc/self/task")))

    return look


def _resident() -> int:
    with open("/proc/self/statm", "rb") as file:  # proc(5): size, resident, … in pages
        return int(file.read().split()[1]) * _PAGE
