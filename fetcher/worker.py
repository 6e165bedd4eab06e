"""From a delivery to a job, and from how the job ended to an event and a settlement."""

from dataclasses import dataclass

import structlog

from common import logs
from common.broker import MAX_ATTEMPTS, Delivery
from common.errors import UpstreamError
from common.messages import (
    Event,
    ExpireLink,
    ExpireTag,
    FetchBlob,
    FillFailed,
    Job,
    Queue,
    StorageFull,
)
from fetcher.announcer import Announcer
from fetcher.jobs import Jobs
from fetcher.leases import Leases
from fetcher.patience import Stopping
from fetcher.room import FULL
from fetcher.storage import Storage
from fetcher.urgency import urgency

log = logs.get(__name__)

# Seconds until something nobody waits for is tried again, doubled each time.
PREFETCH_PAUSE = 30.0

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
            with self._leases.hold(self._storage.layout.claim(job.key)) as lease:
                if lease is None:
                    log.debug("somebody is at it")
                    return Ending()
                return Ending(self._jobs.do(job))
        except Stopping:
            log.info("left for a successor")
            return Ending(retry=0.0)
        except UpstreamError as error:
            log.warning("job failed", reason=str(error), status=error.status, code=error.code)
            return _failed(job, delivery, error)
        except OSError as error:
            return self._storage_failed(job, delivery, error)
        except Exception:
            log.exception("job broke")
            refusal = UpstreamError("an error of ours; the log has it", status=500)
            pause = BROKEN_PAUSE * 2.0 ** (delivery.attempt - 1)
            return Ending(_failure(job, refusal), pause)

    def _storage_failed(self, job: Job, delivery: Delivery, error: OSError) -> Ending:
        reason = error.strerror or "failed"
        if error.errno in FULL:
            # Daily business of a cache, and no fault of ours that a traceback would show.
            log.error("storage is full", reason=reason)
            self._announcer.tell(StorageFull())
        else:
            log.error("storage failed", exc_info=error)
        refusal = UpstreamError(f"storage: {reason}", status=503, code="UNAVAILABLE")
        return _failed(job, delivery, refusal)


def _failed(job: Job, delivery: Delivery, error: UpstreamError) -> Ending:
    """A failure: whoever waits is told, and asks again if it likes; a prefetch has nobody to."""
    event = _failure(job, error)
    again = error.retryable and delivery.attempt < MAX_ATTEMPTS
    if delivery.queue is Queue.PREFETCH and again:
        pause = PREFETCH_PAUSE * 2.0 ** (delivery.attempt - 1)
        return Ending(event, max(pause, error.retry_after or 0.0))
    return Ending(event)


def _failure(job: Job, error: UpstreamError) -> FillFailed:
    return FillFailed(
        key=job.key,
        status=error.status,
        code=error.code,
        message=str(error),
        retryable=error.retryable,
        retry_after=error.retry_after,
        digest=job.digest if isinstance(job, FetchBlob) else None,
    )
