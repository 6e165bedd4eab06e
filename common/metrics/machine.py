"""What the processes of one machine have counted, the dead included, in a folder they share.

    <folder>/<id>.lock      flock: held as long as the process of that id lives
    <folder>/<id>.json      what it last published, replaced by rename
    <folder>/<id>.waiting   how many clients wait in it, by digest, while there are any
    <folder>/totals.json    what the dead have counted, and which of them are in it
    <folder>/lock           flock: whoever comes, or takes stock

Totals never go backwards, wherever a process is killed:

- What a scrape tells has been published before, the asked process's own counts too.
- Who is found dead is added to the totals and named in them, in one rename; only then its files
  go. Killed before the rename, nothing has happened; after it, the next one sees the name, counts
  nothing twice, and removes the files.
- A name goes from the totals with a later rename, when its files are gone.

So there are as many files as processes live, and some of those that died since the last time
somebody came or took stock.
"""

import fcntl
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from common.metrics.kinds import Snapshot
from common.metrics.merging import lasting, merge

# Seconds. Whoever holds the lock needs some milliseconds, unless it was stopped.
_PATIENCE = 2.0
_PAUSE = 0.005


class Busy(Exception):
    """Another process keeps the folder to itself for longer than anybody should."""


class Member:
    """This process among those that share `folder`; raises OSError and Busy."""

    def __init__(self, folder: str) -> None:
        """Come; that is seen by all others until `leave`, or the end of the process."""
        self._folder = folder
        self._id = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._published = b""
        self._waiting = False
        with _alone(folder):
            _take_stock(folder)
            # Alone, or others would take it for a dead one's in the moment before it is locked.
            self._alive = os.open(self._path("lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX)
        # As long as anybody holds the folder it is not removed (common.metrics.folders).
        self._hold = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._hold, fcntl.LOCK_SH)

    def publish(self, snapshot: Snapshot) -> None:
        """Have others count `snapshot` for us, instead of what was published before."""
        body = _encode(snapshot)
        if body != self._published:
            _replace(self._path("json"), body)
            self._published = body

    def publish_waiting(self, waiting: Mapping[str, int]) -> None:
        """Tell how many clients wait for what, by digest: no metric, whose labels are few."""
        if waiting:
            _replace(self._path("waiting"), json.dumps(waiting).encode())
        elif self._waiting:
            with suppress(FileNotFoundError):
                os.remove(self._path("waiting"))
        self._waiting = bool(waiting)

    def collect(self) -> Snapshot:
        """What all have counted, as published."""
        with _alone(self._folder):
            return merge(_take_stock(self._folder))

    def collect_waiting(self) -> Counter[str]:
        """How many clients wait for what in all processes that live, by digest."""
        waiting: Counter[str] = Counter()
        with _alone(self._folder):
            for member in _members(self._folder)[0]:
                waiting.update(_read(os.path.join(self._folder, f"{member}.waiting")) or {})
        return waiting

    def leave(self) -> None:
        """Go; what was published counts on."""
        os.close(self._alive)
        os.close(self._hold)

    def _path(self, ending: str) -> str:
        return os.path.join(self._folder, f"{self._id}.{ending}")


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    fd = os.open(os.path.join(folder, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _is_locked(fd):
            if time.monotonic() > deadline:
                raise Busy(folder)
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(fd)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_stock(folder: str) -> list[Snapshot]:
    """What the living have published, and the totals of the dead; alone."""
    totals, counted = _totals(folder)
    living, dead = _members(folder)
    new = [member for member in dead if member not in counted]
    if new:
        said = [lasting(_published(folder, member)) for member in new]
        totals = merge([totals, *said])
        # Those named before whose files are gone need not be named any more.
        _write_totals(folder, totals, dead)
    for member in dead:
        _remove(folder, member)
    return [totals, *(_published(folder, member) for member in living)]


def _members(folder: str) -> tuple[list[str], list[str]]:
    living: list[str] = []
    dead: list[str] = []
    for name in os.listdir(folder):
        member, dot, ending = name.rpartition(".")
        if dot and ending == "lock":
            (living if _lives(os.path.join(folder, name)) else dead).append(member)
    return living, dead


def _lives(path: str) -> bool:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not _is_locked(fd)
    finally:
        os.close(fd)


def _remove(folder: str, member: str) -> None:
    # The lock last: by it the rest is found.
    for ending in ("new", "waiting", "json", "lock"):
        with suppress(FileNotFoundError):
            os.remove(os.path.join(folder, f"{member}.{ending}"))


def _totals(folder: str) -> tuple[Snapshot, list[str]]:
    wire = _read(os.path.join(folder, "totals.json"))
    return (_decode(wire["said"]), list(wire["of"])) if wire else ({}, [])


def _write_totals(folder: str, totals: Snapshot, members: list[str]) -> None:
    wire = {"of": members, "said": _plain(totals)}
    _replace(os.path.join(folder, "totals.json"), json.dumps(wire).encode())


def _published(folder: str, member: str) -> Snapshot:
    wire = _read(os.path.join(folder, f"{member}.json"))
    return _decode(wire) if wire else {}


def _read(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def _replace(path: str, body: bytes) -> None:
    # No sync: it is memory, or may as well be, and a machine that went down counts anew.
    new = f"{os.path.splitext(path)[0]}.new"
    with open(new, "wb") as file:
        file.write(body)
    os.replace(new, path)


def _plain(snapshot: Snapshot) -> dict[str, Any]:
    return {name: list(series.items()) for name, series in snapshot.items()}


def _encode(snapshot: Snapshot) -> bytes:
    return json.dumps(_plain(snapshot), separators=(",", ":")).encode()


def _decode(wire: dict[str, Any]) -> Snapshot:
    return {
        name: {tuple(labels): value for labels, value in series} for name, series in wire.items()
    }
