"""Errands whose clients have gone."""

import asyncio
import gc
from concurrent.futures import Future
from typing import Any

from common.broker.embedded.broker import EmbeddedBroker
from common.errors import BrokerUnavailable
from common.messages import ListTags, Message, Queue
from common.reference import RepositoryName
from common.source import Source
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
