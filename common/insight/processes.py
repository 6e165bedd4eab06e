"""Which processes of the cache are alive, on all machines that share the storage.

Each keeps a small file while it lives, `processes/<role>.<unique name>`, whose mtime it renews
every few seconds. A file that is not renewed belongs to one that has died, or lost sight of the
storage; on the same kernel that is known at once (common.owner).
"""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from common import logs, walk
from common.durable import remove_file, unique_name, write_fleeting_file
from common.owner import decode_owner, this_process
from common.paths import Layout

_log = logs.get(__name__)

_BEAT_SECONDS = 10.0
# Machines' clocks may be some seconds apart, and a file server slow.
_SILENT_SECONDS = 45.0
# For as long as a file server may take to remove the file.
_LEAVING_SECONDS = 5.0
# Files of the dead are of use for a while: that one is missing says something.
_FORGOTTEN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process; `since` in unix seconds."""

    role: str
    host: str
    pid: int
    since: float
    is_alive: bool


class Presence:
    """Says that this process lives; on a thread, as a file server may hang."""

    def __init__(self, layout: Layout, role: str) -> None:
        """Nothing is written before `begin`."""
        self._layout = layout
        self._path = f"{layout.processes}/{role}.{unique_name()}"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def begin(self) -> None:
        """From now on; in the process itself, after the last fork."""
        self._thread.start()

    def end(self) -> None:
        """No more. One that hangs is left to itself."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_LEAVING_SECONDS)

    def _run(self) -> None:
        content = json.dumps(
            {**asdict(this_process()), "host": socket.gethostname(), "since": time.time()}
        ).encode()
        with suppress(OSError):
            _forget_the_dead(self._layout.processes)
        while True:
            self._beat(content)
            if self._ending.wait(_BEAT_SECONDS):
                break
        with suppress(OSError):
            remove_file(self._path)

    def _beat(self, content: bytes) -> None:
        try:
            try:
                os.utime(self._path)
            except FileNotFoundError:
                write_fleeting_file(
                    self._path,
                    content,
                    temporary=self._layout.temporary,
                    below=self._layout.own,
                )
        except OSError as error:
            _log.debug("presence not told", reason=error.strerror)


def processes(layout: Layout) -> list[ProcessFacts]:
    """Those that are alive, and those that ended within the hour without a word, by role."""
    found = []
    for entry in walk.entries(layout.processes):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found.append(_read(entry))
    return sorted(found, key=lambda each: (each.role, each.host, each.pid))


def _read(entry: os.DirEntry[str]) -> ProcessFacts:
    with open(entry.path, "rb") as file:
        content = file.read()
        beat = os.fstat(file.fileno()).st_mtime
    told = json.loads(content)
    owner = decode_owner(content)
    is_alive = abs(time.time() - beat) < _SILENT_SECONDS and not (owner and owner.is_dead())
    role = entry.name.partition(".")[0]
    return ProcessFacts(role, str(told["host"]), int(told["pid"]), float(told["since"]), is_alive)


def _forget_the_dead(folder: str) -> None:
    for entry in walk.entries(folder):
        with suppress(FileNotFoundError):
            if time.time() - entry.stat().st_mtime > _FORGOTTEN_SECONDS:
                remove_file(entry.path)
