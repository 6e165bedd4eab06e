"""Claims: who may do a piece of work, over all machines that share the storage.

A claim is a file `claim.<generation>` in the work's folder, made by exclusive create (atomic on
NFS too). Its mtime is the holder's heartbeat. It is stale when the heartbeat is older than the
lease by the storage's own clock, or at once when its holder was a process of this kernel that is
gone. Whoever finds it stale creates the next generation; of two who try, one gets the file.

The generation is the fencing value: a holder that slept past its lease (SIGSTOP, a frozen
virtual machine) finds its own file gone or a higher one beside it, and touches nothing more.
Even between that check and its next write it can do no harm, as every generation writes only to
files of its own (see common.fills) and commits only what it has verified.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass

from common.durable import in_folder, remove_file, unique_name
from common.errors import LeaseLost
from common.owner import decode_owner, this_process
from common.paths import Layout

_NAME = "claim."

# A folder's listing may be older than the files (NFS keeps it for seconds): no claim is seen to
# vanish this often in a row otherwise.
_LOOKS = 8

# Seconds between two tries to create one.
_PAUSE = 0.02


@dataclass(slots=True)
class Claim:
    """The right to work in `folder` until it is released or lost."""

    folder: str
    generation: int
    _fd: int

    @property
    def _path(self) -> str:
        return f"{self.folder}/{_NAME}{self.generation}"

    def beat(self) -> None:
        """Say that the holder lives; raises LeaseLost when somebody has taken over."""
        self.check()
        with suppress(OSError):
            os.utime(self._fd)

    def check(self) -> None:
        """Raise LeaseLost unless the claim is still ours."""
        if not self._is_ours() or max(generations(self.folder), default=0) > self.generation:
            msg = f"{os.path.basename(self.folder)}: taken over"
            raise LeaseLost(msg)

    def _is_ours(self) -> bool:
        # By inode, since a later life of the folder may have come to the same generation. Our open
        # file keeps its inode from being used again.
        try:
            return os.stat(self._path).st_ino == os.fstat(self._fd).st_ino
        except OSError:
            return False

    def release(self) -> None:
        """Give the claim up; the folder goes with it when nothing else is in it. Idempotent."""
        if self._fd < 0:
            return
        if self._is_ours():
            remove_file(self._path)
        os.close(self._fd)
        self._fd = -1
        with suppress(OSError):
            os.rmdir(self.folder)


class Claims:
    """Claims in one storage folder, with one lease (seconds) for all who share it."""

    def __init__(self, layout: Layout, lease: float) -> None:
        """Take the lease all processes are configured with."""
        self.lease = lease
        self._layout = layout
        self._probe = f"{layout.temporary}/clock.{unique_name()}"

    def acquire(self, folder: str) -> Claim | None:
        """A claim on the work of `folder`, or None while somebody who lives has it."""
        while True:
            top, free = self._look(folder)
            if not free:
                return None
            claim = self._create(folder, top + 1)
            if claim is not None:
                return self._settle(claim)
            time.sleep(_PAUSE)

    def _create(self, folder: str, generation: int) -> Claim | None:
        path = f"{folder}/{_NAME}{generation}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            # Nothing of it is synced: whoever holds it is gone after a power cut.
            fd = in_folder(
                folder, lambda: os.open(path, flags, 0o644), fleeting_below=self._layout.own
            )
        except FileExistsError:
            return None
        # Until this is written the claim counts as held by somebody unknown, until its lease is
        # over.
        try:
            os.write(fd, this_process().encode())
        except OSError:
            os.close(fd)
            with suppress(OSError):
                remove_file(path)
                os.rmdir(folder)
            raise
        return Claim(folder, generation, fd)

    def is_held(self, folder: str) -> bool:
        """Whether somebody who lives works there."""
        return not self._look(folder)[1]

    def _look(self, folder: str) -> tuple[int, bool]:
        """The highest generation there (0: none), and whether the work is free to be taken.

        A claim that is gone before it could be read was released or succeeded: it says nothing,
        least of all that the next generation is free, which may be somebody's first.
        """
        top = 0
        for _ in range(_LOOKS):
            top = max(generations(folder), default=0)
            stale = self._is_stale(f"{folder}/{_NAME}{top}") if top else True
            if stale is not None:
                return self._beyond(folder, top, free=stale)
        return self._beyond(folder, top, free=True)

    def _beyond(self, folder: str, top: int, *, free: bool) -> tuple[int, bool]:
        """The same, with claims that the listing does not show yet: what is asked for by name is
        found on a file server at once.
        """
        while free:
            stale = self._is_stale(f"{folder}/{_NAME}{top + 1}")
            if stale is None:
                break
            top, free = top + 1, stale
        return top, free

    def _settle(self, claim: Claim) -> Claim | None:
        """Clear the predecessors away, and give way to a later claim.

        A later one can be there when we were slow between looking and creating.
        """
        for generation in generations(claim.folder):
            if generation < claim.generation:
                remove_file(f"{claim.folder}/{_NAME}{generation}")
        try:
            claim.check()
        except LeaseLost:
            claim.release()
            return None
        return claim

    def _is_stale(self, path: str) -> bool | None:
        """Whether the holder is dead or silent for too long; None when the claim is gone."""
        try:
            with open(path, "rb") as file:
                # Before the heartbeat is read: stopped in between, we would take for old what was
                # new when we read it.
                now = self.now()
                owner = decode_owner(file.read())
                beat = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        if now - beat > self.lease or (owner is not None and owner.is_dead()):
            return True
        # Far in the future: the clock was set back, unless we were stopped. A holder that lives
        # puts it right with its next heartbeat; one that does not would hold the claim until the
        # clock got there.
        return beat - now > self.lease and beat - self.now() > self.lease

    def now(self) -> float:
        """The storage's clock in unix seconds: heartbeats are stamped by it, not by ours."""
        try:
            os.utime(self._probe)
            return os.stat(self._probe).st_mtime
        except FileNotFoundError:  # not made yet, or swept away, perhaps between the two
            return in_folder(self._layout.temporary, self._new_probe)

    def _new_probe(self) -> float:
        fd = os.open(self._probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            return os.fstat(fd).st_mtime
        finally:
            os.close(fd)

    def close(self) -> None:
        """Leave nothing behind, if storage lets us."""
        with suppress(OSError):
            remove_file(self._probe)


def generations(folder: str) -> list[int]:
    """The generations of claims in `folder`."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    suffixes = [name.removeprefix(_NAME) for name in names if name.startswith(_NAME)]
    return [int(suffix) for suffix in suffixes if suffix.isdecimal()]
