"""The folder of one machine's processes: in memory where that can be had, and not for ever."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from common.config import Config
from common.paths import Layout

_PREFIX = "entrepot-metrics-"

# Seconds. One that was made a moment ago may not be held yet.
_YOUNG = 60.0


class Folder:
    """A new folder at `path`, held until `remove`."""

    def __init__(self, places: Sequence[str]) -> None:
        """Make it in the first of `places` that takes it, and remove what dead ones left there.

        Raises OSError where none does.
        """
        self._owner = os.getpid()
        self.path = _made(places)
        self._hold = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._hold, fcntl.LOCK_SH)
        _sweep(os.path.dirname(self.path))

    def remove(self) -> None:
        """Be done with it; only for whom made it, not for processes forked since."""
        if os.getpid() == self._owner:
            os.close(self._hold)
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def counted_together(config: Config, *, with_console: bool = False) -> Iterator[Config]:
    """The configuration, with a folder for metrics where one is needed and none is configured.

    `with_console` says that there is a process that shows them. The folder is there until the end,
    unless the process is killed; then the next one removes it.
    """
    debug = config.http.debug
    is_needed = bool(debug.addr) and (debug.prometheus.enabled or with_console)
    if not is_needed or debug.prometheus.folder:
        yield config
        return
    folder = Folder(_places(Layout(config.storage.rootdirectory).temporary))
    prometheus = replace(debug.prometheus, folder=folder.path)
    try:
        yield replace(
            config, http=replace(config.http, debug=replace(debug, prometheus=prometheus))
        )
    finally:
        folder.remove()


def _places(last: str) -> list[str]:
    return ["/dev/shm", tempfile.gettempdir(), last]


def _made(candidates: Sequence[str]) -> str:
    for place in candidates[:-1]:
        with suppress(OSError):
            return tempfile.mkdtemp(prefix=_PREFIX, dir=place)
    os.makedirs(candidates[-1], exist_ok=True)
    return tempfile.mkdtemp(prefix=_PREFIX, dir=candidates[-1])


def _sweep(place: str) -> None:
    for name in os.listdir(place):
        if name.startswith(_PREFIX):
            with suppress(OSError):
                _remove_abandoned(os.path.join(place, name))


def _remove_abandoned(path: str) -> None:
    found = os.stat(path, follow_symlinks=False)
    if found.st_uid != os.getuid() or time.time() - found.st_mtime < _YOUNG:
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(fd)
