"""`entrepot verify`: every blob read and compared with its digest, links and tags looked up.

It may run beside everything else, on any machine that has the storage folder. The reading is the
janitor's (janitor.examine): what is damaged is put aside, and the next pull fetches it anew.
"""

import os
import sys
import time
from collections import Counter
from contextlib import suppress

from common.blobstore import FileBlobStore
from common.config import Config
from common.digest import Digest
from common.paths import Layout
from entrepot.inspection import Inspection
from entrepot.progress import Progress, amount
from janitor import walk
from janitor.examine import Bandwidth, Examiner, Verdict

FINE, FOUND = 0, 1
"""Exit statuses: all is well, something was found (or could not be looked at)."""

_TOLD = {
    Verdict.CORRUPT: "corrupt",
    Verdict.LOST: "cannot be read back from the disk",
    Verdict.UNREADABLE: "cannot be read now",
}


class Verification:
    """One run over one storage folder; `limit` in bytes a second, 0 for any number."""

    def __init__(self, root: str, *, grace: float, limit: int) -> None:
        """Nothing is read before `run`."""
        self._layout = Layout(root)
        self._inspection = Inspection(root, grace=grace)
        blobs = FileBlobStore(self._layout)
        self._examiner = Examiner(self._layout, blobs, Bandwidth(limit, time.sleep))
        self._found: Counter[str] = Counter()
        self._bytes = 0

    def run(self) -> int:
        """Say what is found, on standard output, and how far it is, on standard error."""
        if not os.path.isdir(self._layout.root):
            print(f"{self._layout.root}: no such folder", file=sys.stderr)
            return FOUND
        begun = time.monotonic()
        # First, so that blobs put aside below are not told once more as missing.
        for finding in self._inspection.findings():
            self._tell(finding.subject, finding.problem)
        progress = Progress(self._total(), sys.stderr)
        for digest in walk.digests(self._layout.blobs):
            self._look_at(digest, progress)
        progress.clear()
        self._sum_up(time.monotonic() - begun)
        return FOUND if self._found.total() else FINE

    def _total(self) -> int:
        total = 0
        for digest in walk.digests(self._layout.blobs):
            with suppress(OSError):
                total += os.stat(self._layout.blob(digest)).st_size
        return total

    def _look_at(self, digest: Digest, progress: Progress) -> None:
        def step(count: int) -> None:
            self._bytes += count
            progress.advance(count)

        verdict = self._examiner.examine(digest, step)
        if problem := problem_with(self._layout, digest, verdict):
            progress.clear()
            self._tell(digest, problem)

    def _tell(self, subject: str, problem: str) -> None:
        self._found[problem.partition(":")[0].partition(";")[0]] += 1
        print(f"{subject}: {problem}", flush=True)

    def _sum_up(self, seconds: float) -> None:
        told = ", ".join(f"{count} {what}" for what, count in self._found.items())
        print(f"{amount(self._bytes)} verified in {seconds:.1f} s: {told or 'all is well'}")


def problem_with(layout: Layout, digest: Digest, verdict: Verdict) -> str:
    """What was found wrong with a blob, and what became of it; empty: nothing was."""
    if verdict not in _TOLD:
        return ""
    is_gone = verdict.is_damage and not os.path.exists(layout.blob(digest))
    outcome = "put aside, the next pull fetches it anew" if is_gone else "it stays"
    return f"{_TOLD[verdict]}; {outcome}"


def verify(config: Config, *, limit: int) -> int:
    """Verify the configured storage folder; the exit status."""
    verification = Verification(
        config.storage.rootdirectory, grace=config.janitor.grace, limit=limit
    )
    return verification.run()
