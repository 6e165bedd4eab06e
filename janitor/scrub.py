"""The scrub: every blob's bytes compared with its digest, once in a while and slowly.

A round looks at all blobs and examines those that are due: never verified here (what another
registry left in the folder), or not for `interval`. When a blob was verified last is kept in its
seal (common.seals), so a round that was interrupted goes on where it was. On a file system that
keeps no seals every round examines everything, and there is one an interval.
"""

import os
import threading
from collections import Counter
from contextlib import suppress

from common import logs
from common.blobstore import FileBlobStore
from common.claims import Claim, Claims
from common.digest import Digest
from common.durable import remove_file, write_file
from common.errors import LeaseLost
from common.paths import Layout
from common.seals import read_seal
from janitor import walk
from janitor.examine import Bandwidth, Examiner, Verdict
from janitor.pace import Interrupted, Pace

_log = logs.get(__name__)

_DAY = 24 * 3600.0

# Seconds that damaged blobs are kept for people to look at.
_KEPT = 7 * _DAY

# So many blobs lost in a row are not blobs that are damaged but a disk that is.
_DISK_IS_GONE = 5


class Scrub:
    """Scrubs one storage folder, in rounds; `interval` in seconds, `rate` in bytes a second."""

    def __init__(
        self,
        layout: Layout,
        blobs: FileBlobStore,
        claims: Claims,
        *,
        interval: float,
        rate: int,
        stop: threading.Event,
    ) -> None:
        """Give up in the middle of a round when `stop` is set."""
        self._layout = layout
        self._claims = claims
        self._interval = interval
        self._stop = stop
        self._keeps_seals = True
        self._examiner = Examiner(layout, blobs, Bandwidth(rate, stop.wait))

    def __call__(self) -> float:
        """Scrub if it is time and no other janitor does; the seconds until it may be time again."""
        wait = self._wait()
        if wait > 0:
            return wait
        claim = self._claims.acquire(self._layout.claim("scrub"))
        if claim is None:
            return self._claims.lease
        try:
            self._run(claim)
        finally:
            claim.release()
        return self._wait()

    def _wait(self) -> float:
        """Seconds until the next round by anybody."""
        spacing = min(self._interval, _DAY) if self._keeps_seals else self._interval
        try:
            began = os.stat(self._layout.scrubbed).st_mtime
        except FileNotFoundError:
            return 0.0
        # A round in the future is a clock that was set back.
        return min(began + spacing - self._claims.now(), spacing)

    def _run(self, claim: Claim) -> None:
        begun = self._claims.now()
        pace = Pace(self._stop, claim.beat, self._claims.lease)
        try:
            found = self._look_at_all(pace)
        except LeaseLost:
            _log.warning("scrub left to another janitor")
            return
        except Interrupted:
            _log.info("scrub interrupted")
            return
        self._empty_quarantine()
        write_file(
            self._layout.scrubbed,
            b"",
            temporary=self._layout.temporary,
            prepare=lambda fd: os.utime(fd, (begun, begun)),
        )
        if found.total():
            tally = {verdict.value: count for verdict, count in found.items()}
            _log.info("scrub finished", **tally)

    def _look_at_all(self, pace: Pace) -> Counter[Verdict]:
        found: Counter[Verdict] = Counter()
        lost_in_a_row = 0
        self._keeps_seals = True
        for digest in walk.digests(self._layout.blobs):
            pace.step()
            if not self._is_due(digest):
                continue
            verdict = self._examiner.examine(digest, lambda _count: pace.step())
            found[verdict] += 1
            if verdict.is_damage:
                _log.error("a blob is damaged", digest=digest, verdict=verdict.value)
            lost_in_a_row = lost_in_a_row + 1 if verdict is Verdict.LOST else 0
            if lost_in_a_row >= _DISK_IS_GONE:
                _log.error("the disk fails, scrub ended", lost=lost_in_a_row)
                break
            self._keeps_seals = self._keeps_seals and self._was_sealed(digest, verdict)
        return found

    def _is_due(self, digest: Digest) -> bool:
        seal = read_seal(self._layout.blob(digest))
        # Verified in the future is a clock that was set back.
        return seal is None or abs(self._claims.now() - seal.verified) >= self._interval

    def _was_sealed(self, digest: Digest, verdict: Verdict) -> bool:
        return verdict is not Verdict.RIGHT or read_seal(self._layout.blob(digest)) is not None

    def _empty_quarantine(self) -> None:
        """Remove what has lain there long enough, by ctime: the time of its rename."""
        for file in walk.entries(self._layout.quarantine):
            with suppress(FileNotFoundError):
                if self._claims.now() - file.stat().st_ctime >= _KEPT and remove_file(file.path):
                    _log.info("damaged blob removed", file=file.name)
