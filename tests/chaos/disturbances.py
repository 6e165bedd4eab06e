"""What was disturbed when: what an answer that failed may be put down to.

Strict on purpose. A killed, stopped or ended fetcher or janitor explains nothing, nor does a
queue file that was removed: nobody shall notice these.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass

# An upstream's failure is told to the clients that wait, and remembered for ten seconds.
_REMEMBERED = 15.0

UPSTREAM = "upstream"
FRONTEND = "frontend"
BROKER = "broker"


@dataclass
class Disturbance:
    """Something was wrong with `target`; on the monotonic clock, `end` None while it is."""

    kind: str
    target: str
    begin: float
    end: float | None = None
    after: float = 0.0
    """Seconds for which it explains failures after its end."""

    def touches(self, begin: float, end: float) -> bool:
        """Whether a request between these moments may have felt it."""
        return self.begin <= end and (self.end is None or begin <= self.end + self.after)


class Disturbances:
    """All of them; for any thread."""

    def __init__(self) -> None:
        self._all: list[Disturbance] = []
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def begin(self, kind: str, target: str, after: float) -> Disturbance:
        """From now on something is wrong, until `finish`."""
        made = Disturbance(kind, target, time.monotonic(), after=after)
        with self._lock:
            self._all.append(made)
        return made

    @staticmethod
    def finish(disturbance: Disturbance) -> None:
        """It is over, but for what comes `after`."""
        disturbance.end = time.monotonic()

    def upstream_failed(self, fault: str, path: str, *, rest: float = 0.0) -> None:
        """The upstream has just done something wrong for this path.

        Or, where it asks for a `rest` of so many seconds, for all paths.
        """
        now = time.monotonic()
        with self._lock:
            self.counts[fault] += 1
            target = "" if rest else path
            self._all.append(Disturbance(UPSTREAM, target, now, now, _REMEMBERED + rest))

    def cause(
        self, path: str, begin: float, end: float, served_by: str | None, *, bodiless: bool
    ) -> str | None:
        """What may have failed a request; None: nothing that was permitted to.

        `served_by` is the frontend whose answer it was; None when the load balancer answered in
        its place. Frontends that are killed or stopped explain that, and answers cut in the
        middle (not `bodiless`), not the errors that frontends answer themselves.
        """
        with self._lock:
            near = [each for each in self._all if each.touches(begin, end)]
        for each in near:
            if self._explains(each, path, served_by, bodiless=bodiless):
                return each.kind
        return None

    @staticmethod
    def _explains(each: Disturbance, path: str, served_by: str | None, *, bodiless: bool) -> bool:
        if each.kind == FRONTEND:
            return served_by is None or (not bodiless and each.target == served_by)
        if served_by is None:
            return False
        if each.kind == UPSTREAM and each.target:
            return _concerns(each.target, path)
        return True


def _concerns(failed: str, path: str) -> bool:
    """Whether a failure of one path at the upstream can be felt on another here.

    A blob's fill is shared by all repositories; a tag's manifest is fetched by its digest.
    """
    if failed.rpartition("/")[2] == path.rpartition("/")[2]:
        return True
    folder = path.rpartition("/")[0]
    return "/manifests" in folder and failed.startswith(folder)
