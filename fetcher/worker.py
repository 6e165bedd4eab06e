"""From a delivery to a job, and from how the job ended to an event and a settlement."""

from dataclasses import dataclass

import structlog

from common import logs, tracing
from common.broker import Delivery
from common.digest import Digest
from common.errors import LeaseLost, UpstreamError
from common.messages import (
    Event,
    ExpireLink,
    ExpireTag,
    FetchBlob,
    FillDropped,
    FillFailed,
    Job,
    Queue,
    StorageFull,
)
from fetcher import watching
from fetcher.announcer import Announcer
from fetcher.jobs import Jobs
from fetcher.leases import Leases
from fetcher.patience import Stopping
from fetcher.room import FULL
from fetcher.storage import Storage
from fetcher.urgency import urgency

log = logs.get(__name__)

# Seconds until a job that broke us is tried again, doubled each time: long enough for people to
# see it in the logs before it comes to rest in the dead-letter queue.
BROKEN_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What a job came to: the event to tell, and the seconds after which it is tried again."""

    event: Event | None = None
    retry: float | None = None


class Worker:
    """Handles deliveries of jobs, on any thread.

    Equal jobs run once over all machines: the claim is on the job's key, and the events of the
    one that runs answer all. So the order at the end: give up the claim, settle, tell. A
    duplicate that was turned away by then has its asker listening for what is told next; one
    that comes later runs.
    """

    def __init__(self, jobs: Jobs, storage: Storage, leases: Leases, announcer: Announcer) -> None:
        self._jobs = jobs
        self._storage = storage
        self._leases = leases
        self._announcer = announcer

    def handle(self, delivery: Delivery) -> None:
        """Do what is asked, tell how it ended, settle."""
        job = delivery.message
        if isinstance(job, ExpireLink | ExpireTag):
            delivery.reject("no work for a fetcher")
            return
        with (
            structlog.contextvars.bound_contextvars(job=job.key, request_id=job.request_id),
            urgency(urgent=delivery.queue is Queue.INTERACTIVE),
            tracing.span(
                type(job).__name__, "consumer", _trace(job), {"entrepot.request_id": job.request_id}
            ),
        ):
            ending = self._end(job, delivery)
            if ending.retry is None:
                delivery.ack()
            else:
                delivery.retry(ending.retry)
            if ending.event is not None:
                self._announcer.tell(ending.event)

    def _end(self, job: Job, delivery: Delivery) -> Ending:
        try:
            return Ending(self._do(job))
        except Stopping:
            log.info("left for a successor")
            watching.job(job, "left")
            return Ending(retry=0.0)
        except (UpstreamError, OSError) as error:
            watching.failed(job, error)
            if delivery.queue is Queue.PREFETCH:
                log.info("prefetch dropped", reason=str(error))
                return Ending(_dropped(job))
            return Ending(self._told(job, error))
        except Exception:
            log.exception("job broke")
            watching.job(job, "broken")
            return _broken(job, delivery)

    def _do(self, job: Job) -> Event | None:
        """What it came to; None also where somebody else is at it, who tells those who wait."""
        with self._leases.hold(self._storage.layout.claim(job.key)) as lease:
            if lease is None:
                log.debug("somebody is at it")
                watching.job(job, "held")
                return None
            try:
                outcome = self._jobs.do(job, lease)
            except LeaseLost:
                log.warning("somebody has taken over the job")
                watching.job(job, "left")
                return None
            watching.job(job, "done")
            return outcome

    def _told(self, job: Job, error: UpstreamError | OSError) -> FillFailed:
        if isinstance(error, OSError):
            return self._storage_failed(job, error)
        log.warning("job failed", reason=str(error), status=error.status, code=error.code)
        return _failure(job, error)

    def _storage_failed(self, job: Job, error: OSError) -> FillFailed:
        reason = error.strerror or "failed"
        if error.errno in FULL:
            # Daily business of a cache, and no fault of ours that a traceback would show.
            log.error("storage is full", reason=reason)
            self._announcer.tell(StorageFull())
        else:
            log.error("storage failed", exc_info=error)
        refusal = UpstreamError(f"storage: {reason}", status=503, code="UNAVAILABLE")
        return _failure(job, refusal)


def _trace(job: Job) -> tracing.Trace | None:
    return tracing.parse(job.traceparent, job.tracestate)


def _broken(job: Job, delivery: Delivery) -> Ending:
    if delivery.queue is Queue.PREFETCH:
        return Ending(_dropped(job))
    refusal = UpstreamError("an error of ours; the log has it", status=500)
    pause = BROKEN_PAUSE * 2.0 ** (delivery.attempt - 1)
    return Ending(_failure(job, refusal), pause)


def _dropped(job: Job) -> FillDropped:
    """The end of a prefetch that failed.

    Tried again later, it would be in the way of a client that asks for it meanwhile, or in vain.
    Nor is its failure anybody's answer: a client that had come to wait for it asks anew, and has
    all the tries that clients have.
    """
    return FillDropped(key=job.key, digest=_digest(job))


def _failure(job: Job, error: UpstreamError) -> FillFailed:
    return FillFailed(
        key=job.key,
        status=error.status,
        code=error.code,
        message=str(error),
        retryable=error.retryable,
        retry_after=error.retry_after,
        digest=_digest(job),
    )


def _digest(job: Job) -> Digest | None:
    return job.digest if isinstance(job, FetchBlob) else None
