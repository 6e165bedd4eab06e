"""What requests come to, counted: an int that grows, on the loop's thread alone."""

import asyncio
import time

from common.messages import (
    CheckBlob,
    FetchBlob,
    FetchManifest,
    Job,
    ListReferrers,
    ListTags,
    ResolveTag,
)
from common.metrics.catalogue import (
    ERRORS,
    HITS,
    JOINS,
    LOOP_LAG,
    MISSES,
    SENT,
    STALE,
    STREAMS,
    upstream_label,
)
from common.metrics.kinds import Cell, Numbers

_TYPES: dict[type, str] = {
    FetchBlob: "blob",
    CheckBlob: "blob",
    FetchManifest: "manifest",
    ResolveTag: "manifest",
    ListTags: "tags",
    ListReferrers: "referrers",
}


class ByUpstream(dict[str, Cell]):
    """A metric's cells by an upstream's name; `rest` are the labels after it."""

    def __init__(self, metric: Numbers, *rest: str) -> None:
        super().__init__()
        self._metric = metric
        self._rest = rest

    def __missing__(self, upstream: str) -> Cell:
        """The first time of one that is configured; others do not come this far."""
        cell = self[upstream] = self._metric.of(upstream_label(upstream), *self._rest)
        return cell


BLOB_HITS = ByUpstream(HITS, "blob")
MANIFEST_HITS = ByUpstream(HITS, "manifest")
STALE_ANSWERS = ByUpstream(STALE)
BLOB_BYTES = SENT.of("blob")
MANIFEST_BYTES = SENT.of("manifest")
OPEN_STREAMS = STREAMS.of()

# The specification's codes (OCI distribution-spec, "Error Codes") and distribution's others. An
# upstream's own words go no further than the client's log.
_CODES = frozenset(
    {
        "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DENIED", "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID",
        "NAME_UNKNOWN", "PAGINATION_NUMBER_INVALID", "SIZE_INVALID", "TAG_INVALID",
        "TOOMANYREQUESTS", "UNAUTHORIZED", "UNAVAILABLE", "UNKNOWN", "UNSUPPORTED",
    }
)  # fmt: skip


def missed(job: Job) -> None:
    """The upstream is to be asked."""
    _count(MISSES, job)


def joined(job: Job) -> None:
    """Somebody has it asked already."""
    _count(JOINS, job)


def refused(status: int, code: str) -> None:
    """A request is answered with an error."""
    ERRORS.of(str(int(status)), code if code in _CODES else "other").value += 1


def _count(metric: Numbers, job: Job) -> None:
    kind = _TYPES.get(type(job))
    if kind is not None:
        metric.of(upstream_label(job.source.upstream), kind).value += 1


# Seconds.
_TICK = 0.5
_WINDOW = 15.0


class LoopLag:
    """How late the loop comes round: of two windows in turn the worst, so one that ended counts on."""

    def __init__(self) -> None:
        self._worst = self._before = 0.0
        self._turned = 0.0
        self._ended = False

    def start(self) -> None:
        """Measure, on the running loop, until it ends or `close` is called."""
        self._turned = time.monotonic()
        self._schedule()

    def tell(self) -> None:
        """Set the gauge; on any thread."""
        LOOP_LAG.of().set(round(max(self._worst, self._before), 4))

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(_TICK, self._tick, loop.time() + _TICK)

    def _tick(self, due: float) -> None:
        if self._ended:
            return
        if time.monotonic() - self._turned > _WINDOW:
            self._turned = time.monotonic()
            self._before, self._worst = self._worst, 0.0
        self._worst = max(self._worst, asyncio.get_running_loop().time() - due)
        self._schedule()

    def close(self) -> None:
        """Measure no more; on any thread."""
        # The timer is left to ring: uvloop's are for the loop's thread alone, and one that is
        # cancelled on another may take the process with it.
        self._ended = True
