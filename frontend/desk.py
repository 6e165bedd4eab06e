"""Where requests wait for jobs: one errand per job and process, however many clients ask.

An errand is published, and published again when there is reason to think it got lost: the broker
dropped the connection, a fill it waited on failed under another repository's name, or nothing was
heard for REPEAT seconds. Equal jobs are one to the broker and the fetchers, so that costs little.
Events only say when to look; what is looked at is storage, every POLL seconds also without them.

How many may wait, and how many errands one client may have under way, is bounded (see
frontend.limits). An errand whose clients all hung up is kept until its outcome is heard, or
FORGOTTEN seconds: it counts as under way, and whoever asks again joins it.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import TypeVar

from common import logs
from common.broker import Broker
from common.digest import Digest
from common.errors import BrokerUnavailable, UpstreamError
from common.messages import Event, FillCommitted, FillDropped, FillFailed, Job, Queue
from common.metrics.catalogue import ERRANDS, OLDEST_ERRAND, WAITERS
from frontend import counting
from frontend.errors import Crowded, OutOfPatience
from frontend.limits import Limits, Place, Turn
from frontend.tracing import traced

POLL = 1.0
REPEAT = 5.0
FORGOTTEN = 30.0
_BROKER_RETRY = 0.5

_T = TypeVar("_T")
_log = logs.get(__name__)

# Given the event that said the job was done, if one was heard, what the waiter wanted; or None.
Look = Callable[[FillCommitted | None], Awaitable[_T | None]]


class Errand:
    """One job under way, and those who wait for it."""

    def __init__(self, job: Job, turn: Turn) -> None:
        """Make it; `Desk` runs it, and ends `turn` when its outcome is known."""
        self.job = job
        self.turn = turn
        self.waiters = 0
        self.forgetting: asyncio.TimerHandle | None = None
        self.committed: FillCommitted | None = None
        self.failed: FillFailed | None = None
        self.unpublished = True
        self.begun = time.monotonic()
        self.again = asyncio.Event()
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def digest(self) -> Digest | None:
        """The blob it is about, if it is about one."""
        return getattr(self.job, "digest", None)

    def tell(self) -> None:
        """Wake all who wait."""
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()

    @property
    def news(self) -> asyncio.Future[None]:
        """Done when there is some."""
        return self._news


class Desk:
    """The errands of one process."""

    def __init__(self, broker: Broker, limits: Limits) -> None:
        """Take the broker; `open` starts listening."""
        self._broker = broker
        self._limits = limits
        self._errands: dict[str, Errand] = {}
        # Kept here, as the loop itself keeps tasks only weakly.
        self._publishers: dict[Errand, asyncio.Task[None]] = {}
        self._watchers: defaultdict[Digest, list[Callable[[Event], None]]] = defaultdict(list)
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Listen to events from now on, on the running loop."""
        self._loop = loop = asyncio.get_running_loop()

        def hear(event: Event) -> None:
            with suppress(RuntimeError):  # the loop is closed: this process is going
                loop.call_soon_threadsafe(self._deliver, event)

        def missed() -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._catch_up)

        self._broker.subscribe(hear, missed)

    def tell_metrics(self) -> None:
        """Set the gauges of what is under way; on any thread."""
        errands = list(self._errands.values())
        oldest = min((errand.begun for errand in errands if errand.waiters), default=None)
        ERRANDS.of().set(len(errands))
        WAITERS.of().set(self._limits.waiting)
        OLDEST_ERRAND.of().set(0.0 if oldest is None else round(time.monotonic() - oldest, 1))

    def waiting(self) -> Counter[str]:
        """How many requests wait for a digest of which nothing has come yet; on any thread."""
        waiting: Counter[str] = Counter()
        for errand in list(self._errands.values()):
            if errand.digest is not None:
                waiting[errand.digest] += errand.waiters
        return waiting

    async def fulfil(self, job: Job, look: Look[_T], patience: float) -> _T:
        """What `look` gives once the job is done, or sooner.

        Waits up to `patience` seconds. Raises UpstreamError when the job failed,
        BrokerUnavailable or OutOfPatience when the time is over, Crowded when too many wait.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience
        with self._limits.place(job.source.upstream) as place:
            while (errand := self._join(job, place)) is None:
                found = await look(None)
                if found is not None:
                    return found
                begun = clock()
                pause = min(deadline - begun, POLL)
                if pause <= 0:
                    raise Crowded("too many requests of this client wait already")
                await place.news(pause)
                deadline += _stood_still(clock() - begun - pause)
            return await self._wait(errand, look, deadline)

    async def _wait(self, errand: Errand, look: Look[_T], deadline: float) -> _T:
        answered, clock = False, asyncio.get_running_loop().time
        try:
            while True:
                # Before the look: what is told while it looks is not to be missed.
                news = errand.news
                found = await look(errand.committed)
                if found is not None:
                    answered = True
                    return found
                if errand.failed is not None:
                    raise _as_error(errand.failed)
                begun = clock()
                pause = min(deadline - begun, POLL)
                if pause <= 0:
                    raise _given_up(errand)
                await asyncio.wait({news}, timeout=pause)
                deadline += _stood_still(clock() - begun - pause)
        finally:
            self._leave(errand, answered=answered)

    def watch(self, digest: Digest, watcher: Callable[[Event], None]) -> Callable[[], None]:
        """Call `watcher` with events about `digest` until the function returned is called."""
        self._watchers[digest].append(watcher)

        def stop() -> None:
            self._watchers[digest].remove(watcher)
            if not self._watchers[digest]:
                del self._watchers[digest]

        return stop

    async def remind(self, job: Job) -> None:
        """Publish a job nobody may be working on any more; failing is no news."""
        with suppress(BrokerUnavailable):
            await self._publish(job)

    def _join(self, job: Job, place: Place) -> Errand | None:
        """The errand, begun if it is this request's turn to begin one."""
        errand = self._errands.get(job.key)
        if errand is None:
            turn = place.turn()
            if turn is None:
                return None
            counting.missed(job)
            errand = self._errands[job.key] = Errand(traced(job), turn)
        else:
            counting.joined(job)
        if errand.forgetting is not None:
            errand.forgetting.cancel()
            errand.forgetting = None
        errand.waiters += 1
        self._have_published(errand)
        return errand

    def _leave(self, errand: Errand, *, answered: bool) -> None:
        errand.waiters -= 1
        if errand.waiters:
            return
        # Not before it has published: a job whose client has gone is still worth doing.
        if not errand.unpublished and (publisher := self._publishers.pop(errand, None)):
            publisher.cancel()
        if answered:
            self._retire(errand)
        elif self._errands.get(errand.job.key) is errand:
            loop = asyncio.get_running_loop()
            errand.forgetting = loop.call_later(FORGOTTEN, self._retire, errand)

    def _retire(self, errand: Errand, *, missing: bool = False) -> None:
        """Have the next who asks start anew."""
        errand.turn.end(missing=missing)
        if self._errands.get(errand.job.key) is errand:
            del self._errands[errand.job.key]
        if errand.forgetting is not None:
            errand.forgetting.cancel()

    def _have_published(self, errand: Errand) -> None:
        if errand not in self._publishers:
            self._publishers[errand] = asyncio.create_task(self._keep_published(errand))

    async def _keep_published(self, errand: Errand) -> None:
        try:
            await self._publish_while_wanted(errand)
        finally:
            # In the same step in which nobody was seen to wait: who comes in the next has another one.
            if self._publishers.get(errand) is asyncio.current_task():
                del self._publishers[errand]
            if errand.unpublished and not errand.waiters:
                self._retire(errand)

    async def _publish_while_wanted(self, errand: Errand) -> None:
        while errand.waiters or errand.unpublished:
            try:
                await self._publish(errand.job)
            except BrokerUnavailable:
                if not errand.waiters:
                    return
                await asyncio.sleep(_BROKER_RETRY)
                continue
            errand.unpublished = False
            with suppress(TimeoutError):
                async with asyncio.timeout(REPEAT):
                    await errand.again.wait()
            errand.again.clear()

    async def _publish(self, job: Job) -> None:
        # Shielded, as the broker's thread ends this future, which must not be cancelled by then.
        published = asyncio.wrap_future(self._broker.publish(Queue.INTERACTIVE, job))
        published.add_done_callback(_hear_out)
        await asyncio.shield(published)

    def _deliver(self, event: Event) -> None:
        errand = self._errands.get(event.key)
        if errand is not None:
            self._settle(errand, event)
        if event.digest is None:
            return
        for other in list(self._errands.values()):
            if other is not errand and other.digest == event.digest:
                self._overhear(other, event)
        for watcher in list(self._watchers.get(event.digest, ())):
            watcher(event)

    def _settle(self, errand: Errand, event: Event) -> None:
        if isinstance(event, FillFailed):
            errand.failed = event
            self._retire(errand, missing=_is_refusal(event))
        elif isinstance(event, FillDropped):
            # It was fetched ahead when we asked, so ours was taken for the same job.
            errand.again.set()
        elif isinstance(event, FillCommitted):
            errand.committed = event
            if not errand.waiters:
                self._retire(errand)
        errand.tell()

    def _overhear(self, errand: Errand, event: Event) -> None:
        # Another repository's fill of the same blob failed; ours may have been counting on it.
        if isinstance(event, FillFailed | FillDropped):
            errand.again.set()
        errand.tell()

    def _catch_up(self) -> None:
        for errand in self._errands.values():
            errand.again.set()
            errand.tell()


def _stood_still(late: float) -> float:
    """The seconds in which this process was stopped, or starved, by how late its time-out came.

    It did not wait then: what came meanwhile may have gone again.
    """
    return late if late > POLL else 0.0


def _hear_out(published: asyncio.Future[None]) -> None:
    """Take note of a failure that nobody waits for any more; asyncio would log it as our mistake."""
    if not published.cancelled():
        published.exception()


def _is_refusal(failed: FillFailed) -> bool:
    """Whether asking was no use: not there, or not for us, which is how some registries put it."""
    return HTTPStatus.BAD_REQUEST <= failed.status < HTTPStatus.INTERNAL_SERVER_ERROR


def _as_error(failed: FillFailed) -> UpstreamError:
    return UpstreamError(
        failed.message,
        status=failed.status,
        code=failed.code,
        retryable=failed.retryable,
        retry_after=failed.retry_after,
    )


def _given_up(errand: Errand) -> Exception:
    if errand.unpublished:
        return BrokerUnavailable(errand.job.key)
    return OutOfPatience(errand.job.key)
