"""Who is alive among those that hold jobs."""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

from common.broker.embedded.locking import try_lock

# How long a sweeper may take, in seconds, unless it was stopped.
_ENTERING_SECONDS = 1.0
_PAUSE_SECONDS = 0.001


class Owners:
    """The folder of owner files; ours is locked from `enter` to `leave`, or to our death."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.me = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._descriptor: int | None = None

    def enter(self) -> None:
        """Be seen alive; raises OSError. Again after somebody removed the folder, else nothing."""
        if self._descriptor is not None and (self._folder / self.me).exists():
            return
        self.leave()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._locked()

    def _locked(self) -> int:
        """None is to be had while a sweeper looks at the file, which it then removes.

        Without it we would be taken for dead, and what we claim be given to others.
        """
        deadline = time.monotonic() + _ENTERING_SECONDS
        while (descriptor := try_lock(self._folder / self.me)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("another process holds our file")
            time.sleep(_PAUSE_SECONDS)
        return descriptor

    def leave(self) -> None:
        """Be gone: what we own is anybody's."""
        if self._descriptor is not None:
            # A file that stays, on a disk that has become read-only, has lost its lock all the same.
            with suppress(OSError):
                (self._folder / self.me).unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def is_dead(self, owner: str) -> bool:
        """Whether no process stands behind `owner` any more; False also when it cannot be known."""
        if owner == self.me:
            return False
        path = self._folder / owner
        try:
            descriptor = try_lock(path, create=False)
        except FileNotFoundError:
            return True
        except OSError:  # a failing disk: leases run out all the same
            return False
        if descriptor is None:
            return False
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)
        return True

    def sweep(self) -> None:
        """Remove the files of the dead, as far as the disk lets us."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                self.is_dead(path.name)
