"""Publications, each with a future that ends when the broker has it safe."""

import itertools
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pika

from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.topology import Channel
from common.errors import BrokerUnavailable

# How long a publication waits for a connection, and for its confirm, in seconds.
_WAIT_SECONDS = 2.0
_CONFIRM_SECONDS = 10.0
_SWEEP_SECONDS = 0.25


@dataclass(slots=True, eq=False)
class _Publication:
    exchange: str
    routing_key: str
    body: bytes
    headers: Mapping[str, Any]
    deadline: float
    future: Future[None] = field(default_factory=Future)

    def fail(self, why: str) -> None:
        if not self.future.done():
            self.future.set_exception(BrokerUnavailable(why))

    def succeed(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Publisher:
    """A channel in confirm mode; publications do not wait for each other's confirms."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel = None
        self._waiting: deque[_Publication] = deque()
        # By delivery tag, in the order of publication.
        self._unconfirmed: dict[int, _Publication] = {}
        # By message id: the broker says of a returned message that, but not its delivery tag.
        self._tags: dict[str, int] = {}
        self._next_tag = itertools.count(1)
        self._sweeping = False

    @property
    def ready(self) -> bool:
        """Whether a publication goes out at once; for any thread."""
        channel = self._channel
        return channel is not None and channel.is_open and not self._link.blocked

    def publish(
        self, exchange: str, routing_key: str, body: bytes, headers: Mapping[str, Any]
    ) -> Future[None]:
        """Publish persistently; for any thread.

        The future ends when every queue it was routed to has it safe (with quorum queues, a
        majority on disk), or with BrokerUnavailable: refused, unroutable, connection lost, or no
        answer in time. Its callbacks run on the link's thread.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        publication = _Publication(exchange, routing_key, body, headers, deadline)
        # Running from the start: nobody can cancel what may be on its way.
        publication.future.set_running_or_notify_cancel()
        try:
            self._link.call(partial(self._take, publication))
        except BrokerUnavailable as error:
            publication.fail(str(error))
        return publication.future

    @property
    def settled(self) -> bool:
        """Whether nothing waits, neither for a connection nor for a confirm; for any thread."""
        return not self._waiting and not self._unconfirmed

    def up(self) -> None:
        """See Part."""
        self._link.open_channel(self._opened)

    def down(self) -> None:
        """See Part."""
        self._channel = None
        lost = list(self._unconfirmed.values())
        self._unconfirmed.clear()
        self._tags.clear()
        for publication in lost:
            publication.fail("the connection was lost before the broker confirmed")

    def end(self) -> None:
        """Give up what is left, once the link's thread has ended; for any thread."""
        self.down()
        while self._waiting:
            self._waiting.popleft().fail("the queue is closed")

    def _opened(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._link.guarded(self._returned))
        channel.confirm_delivery(
            self._link.guarded(self._confirmed), callback=lambda _: self._confirming(channel)
        )

    def _confirming(self, channel: Channel) -> None:
        self._channel = channel
        self._next_tag = itertools.count(1)
        self._send_waiting()

    def _take(self, publication: _Publication) -> None:
        self._waiting.append(publication)
        self._sweep_later()
        if self.ready:
            self._send_waiting()

    def _send(self, publication: _Publication) -> None:
        tag = next(self._next_tag)
        publication.deadline = time.monotonic() + _CONFIRM_SECONDS
        self._unconfirmed[tag] = publication
        self._tags[str(tag)] = tag
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            message_id=str(tag),
            headers=dict(publication.headers),
        )
        self._channel.basic_publish(
            publication.exchange,
            publication.routing_key,
            publication.body,
            properties,
            mandatory=True,
        )

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
        for tag in tags:
            publication = self._forget(tag)
            if publication is None:
                continue
            if isinstance(method, pika.spec.Basic.Ack):
                publication.succeed()
            else:
                publication.fail("the broker refused the message")

    def _returned(self, _channel: Channel, _method: Any, properties: Any, _body: bytes) -> None:
        # The confirm of a returned message follows, as an ack; by then this has ended it.
        tag = self._tags.get(properties.message_id or "")
        if tag is not None:
            self._unconfirmed[tag].fail("no queue takes the message")
        # A queue that nobody consumes goes without anybody being told: with a connection it is back.
        self._link.fail("no queue takes a message")

    def _sweep_later(self) -> None:
        if not self._sweeping and not self.settled:
            self._sweeping = True
            self._link.later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Send what may go out now, give up what waited too long."""
        self._sweeping = False
        if self.ready:
            self._send_waiting()
        now = time.monotonic()
        while self._waiting and self._waiting[0].deadline <= now:
            self._waiting.popleft().fail("no connection to the broker")
        # In the order of publication, which is that of the deadlines.
        for tag, publication in list(self._unconfirmed.items()):
            if publication.deadline > now:
                break
            self._forget(tag)
            publication.fail("the broker did not confirm in time")
        self._sweep_later()

    def _send_waiting(self) -> None:
        while self._waiting:
            self._send(self._waiting.popleft())

    def _forget(self, tag: int) -> _Publication | None:
        self._tags.pop(str(tag), None)
        return self._unconfirmed.pop(tag, None)
