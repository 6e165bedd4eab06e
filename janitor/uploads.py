"""Pushes that another registry on the same folder left unfinished: `uploadpurging`.

distribution: registry/storage/purgeuploads.go. Nothing is pushed to us, so these folders are none
of ours; a registry that once had the folder, and has it no more, leaves them for ever.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from common import logs
from common.claims import Claims
from common.config.maintenance import UploadPurging
from common.durable import remove_file
from common.errors import LeaseLost
from common.paths import Layout
from janitor import walk
from janitor.pace import Interrupted, Pace

_log = logs.get(__name__)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_STARTED_AT = "startedat"
# RFC 3339 is short; a file that is longer is not what it says.
_LONGEST = 64


@dataclass(slots=True)
class _Tally:
    """What one round did, for the log."""

    found: int = 0
    removed: int = 0
    failed: int = 0


class Uploads:
    """Purges one storage folder, at the start and every `settings.interval` seconds."""

    def __init__(
        self, layout: Layout, claims: Claims, settings: UploadPurging, stop: threading.Event
    ) -> None:
        """Give up in the middle of a round when `stop` is set."""
        self._layout = layout
        self._claims = claims
        self._settings = settings
        self._stop = stop

    def __call__(self) -> float:
        """Purge, unless another janitor does so now; the seconds until it is time again."""
        claim = self._claims.acquire(self._layout.claim("uploads"))
        if claim is not None:
            try:
                self._run(Pace(self._stop, claim.beat, self._claims.lease))
            except (LeaseLost, Interrupted):
                _log.info("purge of uploads interrupted")
            finally:
                claim.release()
        return self._settings.interval

    def _run(self, pace: Pace) -> None:
        tally = _Tally()
        before = self._claims.now() - self._settings.age
        for repository in walk.repositories(self._layout):
            for upload in _uploads(self._layout.uploads(repository)):
                pace.step()
                tally.found += 1
                started = _started_at(upload.path)
                if started is not None and started < before:
                    self._purge(upload.path, repository, tally)
        if tally.found:
            _log.info(
                "uploads looked at",
                found=tally.found,
                removed=tally.removed,
                failed=tally.failed,
                dryrun=self._settings.dryrun,
            )

    def _purge(self, folder: str, repository: str, tally: _Tally) -> None:
        name = os.path.basename(folder)
        if self._settings.dryrun:
            _log.info("an upload would be removed", repository=repository, upload=name)
            return
        try:
            _remove(folder)
        except OSError as error:
            tally.failed += 1
            _log.warning("an upload stays", repository=repository, reason=error.strerror)
        else:
            tally.removed += 1
            _log.info("upload removed", repository=repository, upload=name)


def _uploads(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in walk.entries(folder):
        if _UUID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            yield entry


def _started_at(folder: str) -> float | None:
    """When the upload began, seconds since the epoch; None where it does not say: it stays."""
    try:
        with open(f"{folder}/{_STARTED_AT}", encoding="ascii") as file:
            started = datetime.fromisoformat(file.read(_LONGEST).strip())
    except (OSError, ValueError):
        return None
    return None if started.tzinfo is None else started.timestamp()


def _remove(folder: str) -> None:
    # What says how old it is goes last: without it the next round would leave the rest alone.
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            if parent != folder or name != _STARTED_AT:
                remove_file(f"{parent}/{name}")
        for name in folders:
            _remove_folder(f"{parent}/{name}")
    remove_file(f"{folder}/{_STARTED_AT}")
    with suppress(FileNotFoundError):
        os.rmdir(folder)


def _remove_folder(path: str) -> None:
    if os.path.islink(path):
        remove_file(path)
        return
    with suppress(FileNotFoundError):
        os.rmdir(path)
