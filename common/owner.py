"""Who holds a claim: enough to see at once, on the same kernel, that the holder is dead.

A process id alone is not enough: it is used again, and means something else in a container.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: which boot of which kernel, which pid namespace, which pid, started when (ticks)."""

    boot: str
    namespace: str
    pid: int
    started: str

    def encode(self) -> bytes:
        """The owner as JSON."""
        return json.dumps(asdict(self)).encode()

    def is_dead(self) -> bool:
        """Whether the process is surely gone. False also when we cannot know."""
        here = this_process()
        if (self.boot, self.namespace) != (here.boot, here.namespace):
            return False
        return _start_time(self.pid) != self.started


def decode_owner(text: bytes) -> Owner | None:
    """The owner in `text`; None when it is not (or not yet) written whole."""
    with suppress(ValueError, TypeError, KeyError):
        wire: Any = json.loads(text)
        return Owner(
            str(wire["boot"]), str(wire["namespace"]), int(wire["pid"]), str(wire["started"])
        )
    return None


def this_process() -> Owner:
    """This process as an owner."""
    return _identify(os.getpid())


@cache
def _identify(pid: int) -> Owner:
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    namespace = os.readlink("/proc/self/ns/pid")
    return Owner(boot, namespace, pid, _start_time(pid) or "")


def _start_time(pid: int) -> str | None:
    """The 22nd field of /proc/<pid>/stat (proc(5)); None for a process that is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field, the command in parentheses, may hold anything, spaces included.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {b"Z", b"X"} else fields[19].decode()
