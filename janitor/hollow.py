"""Folders that a crash left empty: somebody made them, and died before the rename into them.

Safe beside everybody who is about to use one: who finds it gone makes it again
(common.durable.in_folder). So does not every other registry on the same folder; hence the day.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from common.durable import remove_empty_folders
from janitor import walk
from janitor.pace import Pace

# Seconds.
_LEFT_AFTER = 24 * 3600.0


class EmptyFolders:
    """Removes those that have been so for a day; `now` is the storage's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Go by `now`."""
        self._now = now

    def below(self, top: str) -> Callable[[str], None]:
        """What a walk is to do with an empty folder below `top`."""
        return partial(self.remove, up_to=top)

    def remove(self, folder: str, *, up_to: str) -> None:
        """Remove `folder` if it is empty, and its parents that are then, `up_to` excluded."""
        with suppress(FileNotFoundError):
            if self._now() - os.stat(folder).st_mtime > _LEFT_AFTER:
                remove_empty_folders(folder, up_to=up_to)

    def remove_any(self, folder: str, pace: Pace, *, up_to: str) -> None:
        """Remove `folder` and those in it, at whatever depth, as far as they are empty."""
        for entry in walk.entries(folder, self.below(up_to)):
            if entry.is_dir(follow_symlinks=False):
                pace.step()
                self.remove_any(entry.path, pace, up_to=up_to)
