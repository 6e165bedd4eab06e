"""Errands whose clients have gone, and errands that came to nothing on another's account."""

import asyncio
import gc
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from common.broker.embedded.broker import EmbeddedBroker
from common.digest import Digest
from common.errors import BrokerUnavailable
from common.messages import (
    Event,
    FetchBlob,
    FillCommitted,
    FillDropped,
    Job,
    ListTags,
    Message,
    Queue,
)
from common.reference import RepositoryName
from common.source import Source
from frontend import desk
from frontend.callers import Callers
from frontend.desk import Desk
from frontend.limits import Limits

JOB = ListTags(source=Source("", RepositoryName("library/app")))


class Slow(EmbeddedBroker):
    """A broker that has not confirmed yet."""

    def __init__(self) -> None:
        self.published: Future[None] = Future()

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        del queue, message, delay
        return self.published


def test_a_publication_that_fails_when_nobody_waits_for_it_is_no_mistake() -> None:
    mistakes: list[Any] = []
    broker = Slow()

    async def hang_up_first() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: mistakes.append(context)
        )
        desk = Desk(broker, Limits(Callers(()), places=1, jobs_per_client=1))
        client = asyncio.create_task(desk.remind(JOB))
        await asyncio.sleep(0)
        client.cancel()
        await asyncio.wait({client})
        broker.published.set_exception(BrokerUnavailable("gone"))
        for _ in range(3):
            await asyncio.sleep(0)
        broker.published = Future()  # the old one knows everybody who listened

    asyncio.run(hang_up_first())
    gc.collect()
    assert mistakes == []


class Listening(EmbeddedBroker):
    """A broker whose publications are seen, and whose events the test makes up."""

    def __init__(self) -> None:
        self.published: asyncio.Queue[Message] = asyncio.Queue()
        self.tell: Callable[[Event], None] = lambda _event: None

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        del delay
        assert queue is Queue.INTERACTIVE
        self.published.put_nowait(message)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def subscribe(
        self, listener: Callable[[Event], None], on_gap: Callable[[], None] = lambda: None
    ) -> None:
        del on_gap
        self.tell = listener


async def here_when_done(done: FillCommitted | None) -> str | None:
    return None if done is None else "here"


def test_what_is_told_during_a_look_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "POLL", 3600.0)
    broker = Listening()

    async def ask() -> str:
        waiting = Desk(broker, Limits(Callers(()), places=1, jobs_per_client=1))
        waiting.open()
        looked: list[FillCommitted | None] = []

        async def look(done: FillCommitted | None) -> str | None:
            looked.append(done)
            if len(looked) == 1:
                broker.tell(FillCommitted(key=JOB.key))
                await asyncio.sleep(0)  # on a thread, say, while the loop hears of the event
                await asyncio.sleep(0)
            return await here_when_done(done)

        return await asyncio.wait_for(waiting.fulfil(JOB, look, patience=60), 30)

    assert asyncio.run(ask()) == "here"


def test_who_waits_for_a_prefetch_that_came_to_nothing_asks_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk, "REPEAT", 3600.0)
    broker = Listening()

    async def ask() -> str:
        waiting = Desk(broker, Limits(Callers(()), places=1, jobs_per_client=1))
        waiting.open()
        client = asyncio.create_task(waiting.fulfil(JOB, here_when_done, patience=60))
        await asyncio.wait_for(broker.published.get(), 30)
        broker.tell(FillDropped(key=JOB.key))
        await asyncio.wait_for(broker.published.get(), 30)
        assert not client.done()
        broker.tell(FillCommitted(key=JOB.key))
        return await client

    assert asyncio.run(ask()) == "here"


def test_a_process_that_was_stopped_for_longer_than_its_patience_looks_on() -> None:
    broker = Listening()
    here: list[str] = []

    async def ask() -> str:
        waiting = Desk(broker, Limits(Callers(()), places=1, jobs_per_client=1))
        waiting.open()
        looked = asyncio.Event()

        async def look(_done: FillCommitted | None) -> str | None:
            looked.set()
            return here[0] if here else None

        client = asyncio.create_task(waiting.fulfil(JOB, look, patience=1.5))
        await asyncio.wait_for(broker.published.get(), 30)
        looked.clear()
        time.sleep(3.5)  # noqa: ASYNC251 - the loop is to stand still, as with SIGSTOP
        await looked.wait()
        here.append("here")
        return await client

    assert asyncio.run(ask()) == "here"


async def when_done(done: FillCommitted | None) -> FillCommitted | None:
    return done


def test_who_stands_in_line_for_longer_than_its_patience_as_the_process_was_stopped_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk, "POLL", 0.1)
    broker = Listening()
    other = ListTags(source=Source("", RepositoryName("library/other")))

    async def ask() -> FillCommitted:
        waiting = Desk(broker, Limits(Callers(()), places=4, jobs_per_client=1))
        waiting.open()
        first = asyncio.create_task(waiting.fulfil(JOB, when_done, patience=60))
        await asyncio.wait_for(broker.published.get(), 30)
        client = asyncio.create_task(waiting.fulfil(other, when_done, patience=5))
        await asyncio.sleep(0)  # it stands in line then
        time.sleep(5.5)  # noqa: ASYNC251 - the loop is to stand still, as with SIGSTOP
        for _ in range(10):  # turns of the loop: it has looked again then
            await asyncio.sleep(0)
        assert not client.done()
        broker.tell(FillCommitted(key=JOB.key))
        await first
        await asyncio.wait_for(broker.published.get(), 30)
        broker.tell(FillCommitted(key=other.key))
        return await client

    assert asyncio.run(ask()).key == other.key


def test_it_can_be_told_how_many_wait_for_a_digest() -> None:
    broker = Listening()
    digest = Digest.of(b"layer")
    jobs: list[Job] = [
        FetchBlob(source=Source("", RepositoryName(name)), digest=digest) for name in ("a", "b")
    ]

    async def count() -> list[dict[str, int]]:
        waiting = Desk(broker, Limits(Callers(()), places=9, jobs_per_client=9))
        waiting.open()
        clients = [
            asyncio.create_task(waiting.fulfil(job, when_done, patience=60))
            for job in [*jobs, jobs[0], JOB]
        ]
        for _ in range(3):
            await asyncio.wait_for(broker.published.get(), 30)
        during = dict(waiting.waiting())
        for key in {*(job.key for job in jobs), JOB.key}:
            broker.tell(FillCommitted(key=key))
        await asyncio.gather(*clients)
        return [during, dict(+waiting.waiting())]

    assert asyncio.run(count()) == [{digest: 3}, {}]


class Away(Listening):
    """A broker of which the test says what becomes of each publication."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: asyncio.Queue[Future[None]] = asyncio.Queue()

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        del queue, message, delay
        outcome: Future[None] = Future()
        self.outcomes.put_nowait(outcome)
        return outcome


@pytest.mark.parametrize("turns", range(8))
def test_who_asks_while_an_errand_is_given_up_that_was_never_published_has_it_published(
    turns: int,
) -> None:
    broker = Away()

    async def ask() -> FillCommitted:
        waiting = Desk(broker, Limits(Callers(()), places=2, jobs_per_client=1))
        waiting.open()
        first = asyncio.create_task(waiting.fulfil(JOB, when_done, patience=60))
        outcome = await asyncio.wait_for(broker.outcomes.get(), 30)
        first.cancel()
        await asyncio.wait({first})
        outcome.set_exception(BrokerUnavailable("gone"))
        for _ in range(turns):
            await asyncio.sleep(0)
        client = asyncio.create_task(waiting.fulfil(JOB, when_done, patience=60))
        (await asyncio.wait_for(broker.outcomes.get(), 30)).set_result(None)
        broker.tell(FillCommitted(key=JOB.key))
        return await client

    assert asyncio.run(ask()).key == JOB.key
