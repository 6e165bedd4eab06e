"""What crashes leave behind in our own folders: fills, claims, temporary files, old lists of tags and referrers."""

import os
from collections.abc import Callable
from contextlib import suppress

from common import logs
from common.claims import Claims
from common.durable import remove_empty_folders, remove_file
from common.fills import Fill
from common.paths import Layout
from janitor import walk
from janitor.hollow import EmptyFolders
from janitor.pace import Pace

_log = logs.get(__name__)

# Seconds. No job and no file about to be renamed takes that long; a partial download is worth
# keeping for a successor until then.
_ABANDONED_AFTER = 24 * 3600.0


class Leftovers:
    """Clears one storage folder; `list_life` is in seconds, None keeps upstreams' lists for ever."""

    def __init__(self, layout: Layout, claims: Claims, *, list_life: float | None) -> None:
        """Work on what is handed in."""
        self._layout = layout
        self._claims = claims
        self._list_life = list_life
        self._empty = EmptyFolders(claims.now)

    def clear(self, pace: Pace) -> None:
        """Remove what nobody works on and nobody has touched for a day."""
        layout = self._layout
        for digest in walk.digests(layout.fills, self._empty.below(layout.fills)):
            pace.step()
            fill = Fill(layout, digest)
            self._clear_work(fill.folder, layout.fills, fill.clear)
        for prefix in walk.entries(layout.claims):
            for work in walk.entries(prefix.path, self._empty.below(layout.claims)):
                pace.step()
                self._clear_work(work.path, layout.claims, lambda: None)
        for file in walk.entries(layout.temporary):
            pace.step()
            self._remove_older(file, _ABANDONED_AFTER)
        if self._list_life is not None:
            for folder in (layout.tag_lists, layout.referrer_lists):
                self._clear_lists(folder, pace, self._list_life)

    def _clear_work(self, folder: str, top: str, clear: Callable[[], None]) -> None:
        if not self._is_older(_last_change(folder), _ABANDONED_AFTER):
            return
        # The claim keeps everybody else out while we clear, and takes the folder along.
        claim = self._claims.acquire(folder)
        if claim is None:
            return
        try:
            # Somebody may have worked there between our look and our claim.
            if self._is_older(_last_write(folder), _ABANDONED_AFTER):
                clear()
                _log.info("abandoned work cleared", folder=os.path.relpath(folder, top))
        finally:
            claim.release()
        remove_empty_folders(os.path.dirname(folder), up_to=top)

    def _clear_lists(self, folder: str, pace: Pace, life: float) -> None:
        for prefix in walk.entries(folder):
            for file in walk.entries(prefix.path):
                pace.step()
                self._remove_older(file, life)
            remove_empty_folders(prefix.path, up_to=folder)

    def _remove_older(self, file: os.DirEntry[str], age: float) -> None:
        with suppress(FileNotFoundError):
            if file.is_file(follow_symlinks=False) and self._is_older(file.stat().st_mtime, age):
                remove_file(file.path)

    def _is_older(self, stamp: float, age: float) -> bool:
        return self._claims.now() - stamp > age


def _last_change(folder: str) -> float:
    """When anything in `folder` was written, made or removed, in unix seconds."""
    try:
        return max(os.stat(folder).st_mtime, _newest(folder, ""))
    except FileNotFoundError:
        return float("inf")


def _last_write(folder: str) -> float:
    """When any file in `folder` that is no claim was written; 0 when there is none."""
    return _newest(folder, "claim.")


def _newest(folder: str, without: str) -> float:
    newest = 0.0
    for entry in walk.entries(folder):
        if not without or not entry.name.startswith(without):
            with suppress(FileNotFoundError):
                newest = max(newest, entry.stat().st_mtime)
    return newest
