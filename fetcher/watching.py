"""What fetchers do and how upstreams behave, counted; from any thread."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from common.errors import UpstreamError
from common.messages import Job
from common.metrics.catalogue import (
    ASKED,
    ASKED_SECONDS,
    FILL_FAILURES,
    FILLS,
    FILLS_RUNNING,
    JOBS,
    RECEIVED,
    UNASKED,
    upstream_label,
)
from common.metrics.kinds import Cell
from fetcher.unasked import Unasked

_configured: set[str] = set()


_CAUSES: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "absent",
    HTTPStatus.UNAUTHORIZED: "denied",
    HTTPStatus.FORBIDDEN: "denied",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout",
    HTTPStatus.BAD_GATEWAY: "unreachable",
    HTTPStatus.SERVICE_UNAVAILABLE: "unreachable",
}


def know(upstreams: Iterable[str]) -> None:
    """These are configured: what jobs call others is in no label."""
    _configured.update(upstreams)


def job(done: Job, outcome: str) -> None:
    """A job has come to something; see the catalogue for the words."""
    JOBS.of(type(done).__name__, outcome).add()


def failed(failed_job: Job, error: Exception) -> None:
    """A job has failed."""
    name = failed_job.source.upstream
    label = upstream_label(name) if name in _configured else "other"
    FILL_FAILURES.of(label, cause_of(error)).add()
    job(failed_job, "storage" if isinstance(error, OSError) else "failed")


def wrong(upstream: str) -> None:
    """What came from the upstream was not what it is called."""
    FILL_FAILURES.of(upstream_label(upstream), "wrong").add()


def cause_of(error: Exception) -> str:
    """Why, in one of a few words."""
    if not isinstance(error, UpstreamError):
        return "storage" if isinstance(error, OSError) else "other"
    if isinstance(error, Unasked):
        return "unasked"
    if error.code == "TOOMANYREQUESTS":
        return "limited"
    return _CAUSES.get(error.status, "other")


@contextmanager
def fill(upstream: str) -> Iterator[None]:
    """A fill runs within; how long it took is told when it ended well."""
    label = upstream_label(upstream)
    began = time.monotonic()
    FILLS_RUNNING.of(label).add()
    try:
        yield
        FILLS.of(label).observe(time.monotonic() - began)
    finally:
        FILLS_RUNNING.of(label).add(-1)


@contextmanager
def asking(upstream: str) -> Iterator[None]:
    """The registry itself is asked within; an answer is told by `answered`."""
    try:
        yield
    except UpstreamError:
        ASKED.of(upstream_label(upstream), "error").add()
        raise


def answered(upstream: str, status: int, seconds: float) -> None:
    """It has answered, after `seconds`."""
    label = upstream_label(upstream)
    limited = status == HTTPStatus.TOO_MANY_REQUESTS
    ASKED.of(label, "429" if limited else f"{min(max(status // 100, 1), 5)}xx").add()
    ASKED_SECONDS.of(label).observe(seconds)


def received(upstream: str, kind: str) -> Cell:
    """What counts the bytes of its blobs, or manifests."""
    return RECEIVED.of(upstream_label(upstream), kind)


@contextmanager
def kept_back(upstream: str, reason: str) -> Iterator[None]:
    """What is refused within was not asked, for `reason`."""
    try:
        yield
    except UpstreamError:
        UNASKED.of(upstream_label(upstream), reason).add()
        raise
