"""What running programs use of the machine, their children included."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Behind the command in parentheses, which may hold anything (proc(5), /proc/pid/stat).
_PARENT, _FIRST_TIME, _AFTER_TIMES = 1, 11, 15


def cpu_seconds(pid: int) -> float:
    """Processor time of a program and its children so far, those that ended included."""
    return sum(
        sum(int(ticks) for ticks in _stat(each)[_FIRST_TIME:_AFTER_TIMES]) for each in tree(pid)
    ) / float(_TICKS)


def pss_bytes(pid: int) -> int:
    """Memory of a program and its children: what several share is divided among them."""
    return sum(_pss_bytes(each) for each in tree(pid))


def tree(pid: int) -> list[int]:
    """A program and all that descends from it."""
    children: dict[int, list[int]] = {}
    for each in _processes():
        with suppress(OSError, IndexError):
            children.setdefault(int(_stat(each)[_PARENT]), []).append(each)
    found = [pid]
    for each in found:  # grows while it is gone through
        found.extend(children.get(each, ()))
    return found


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []  # it ended meanwhile; its parent's figures have it


def _pss_bytes(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
