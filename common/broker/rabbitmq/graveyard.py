"""Looking through the dead letters, each got and held until it is decided about.

There is no reading of a queue without taking from it. So each letter is got without being
acknowledged, and those that stay go back when the channel closes; a crash in between gives all of
them back. To go back counts as a failed delivery, and 4.x drops a message at the twentieth where a
queue sets no limit of its own; one that has been looked at often is therefore published anew in
its own place before that.
"""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from typing import Any

import pika

from common.broker.letters import MOST_LISTED, DeadLetter, is_chosen, queue_of
from common.broker.rabbitmq.census import count
from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.parcel import Parcel, dead_letter, letter_headers
from common.broker.rabbitmq.publisher import Publisher
from common.broker.rabbitmq.topology import DEAD, Channel
from common.errors import BrokerUnavailable

# How long looking through all of them may take, in seconds: some thousand a second are got.
_ANSWER_SECONDS = 30.0
# What goes back is there again some milliseconds after the channel has closed.
_BACK_SECONDS = 2.0
_PAUSE_SECONDS = 0.01
# Looks after which a letter is published anew.
_MANY_LOOKS = 10
# Letters there can be (topology, x-max-length), and some.
_MOST = 20_000

_Onward = tuple[str, str, dict[str, Any]]  # exchange, routing key, headers


class Graveyard:
    """The dead letters of one connection's broker; for any thread but the link's."""

    def __init__(self, link: Link, publisher: Publisher) -> None:
        """Nothing is asked yet."""
        self._link = link
        self._publisher = publisher

    def letters(self, limit: int) -> list[DeadLetter]:
        """See Broker.dead_letters."""
        found: list[DeadLetter] = []

        def visit(look: "_Look", tag: int, dead: DeadLetter, body: bytes, headers: Any) -> None:
            found.append(dead)
            if _looks(headers) >= _MANY_LOOKS:
                look.pass_on(tag, body, (DEAD, "", letter_headers(dead)))

        self._go_through(min(limit, MOST_LISTED), visit)
        return found

    def retry(self, ids: Collection[str] | None) -> int:
        """See Broker.retry_dead."""

        def visit(look: "_Look", tag: int, dead: DeadLetter, body: bytes, _headers: Any) -> None:
            queue = queue_of(dead)
            if queue is not None and is_chosen(dead, ids):
                parcel = Parcel(queue, body)
                look.pass_on(tag, body, (parcel.exchange, queue.value, parcel.headers))

        return self._go_through(_MOST, visit)

    def drop(self, ids: Collection[str] | None) -> int:
        """See Broker.drop_dead."""

        def visit(look: "_Look", tag: int, dead: DeadLetter, _body: bytes, _headers: Any) -> None:
            if is_chosen(dead, ids):
                look.settle(tag)

        return self._go_through(_MOST, visit)

    def _go_through(self, most: int, visit: Callable[..., None]) -> int:
        look = _Look(self._link, self._publisher, most, visit)
        self._link.call(look.begin)
        try:
            gone = look.settled.result(_ANSWER_SECONDS)
        except TimeoutError as error:
            raise BrokerUnavailable("the broker does not answer") from error
        self._wait_for(look.seen - gone)
        return gone

    def _wait_for(self, back: int) -> None:
        """Until so many have come back, so that who looks next finds them; not for long."""
        deadline = time.monotonic() + _BACK_SECONDS
        while count(self._link, DEAD) < back and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)


class _Look:
    """One way through the queue, on the link's thread; `settled` ends with how many have left it."""

    def __init__(
        self, link: Link, publisher: Publisher, most: int, visit: Callable[..., None]
    ) -> None:
        self.settled: Future[int] = Future()
        self.seen = 0
        self._link = link
        self._publisher = publisher
        self._left = most
        self._visit = visit
        self._channel: Channel = None
        self._count = 0
        self._under_way = 0
        self._is_through = False

    def begin(self) -> None:
        if not self._link.is_up:
            self.settled.set_exception(BrokerUnavailable("no connection to the broker"))
            return
        self._link.scratch_channel(self._opened)

    def settle(self, tag: int) -> None:
        """It leaves the queue."""
        self._count += 1
        self._channel.basic_ack(tag)

    def pass_on(self, tag: int, body: bytes, onward: _Onward) -> None:
        """Publish it elsewhere; it leaves the queue when that is safe, else it stays."""
        exchange, routing_key, headers = onward
        self._under_way += 1
        published = self._publisher.publish(exchange, routing_key, body, headers)
        published.add_done_callback(partial(self._passed, tag))

    def _passed(self, tag: int, published: Future[None]) -> None:
        self._under_way -= 1
        if self._channel.is_open:
            if published.exception() is None:
                self.settle(tag)
            self._end_if_done()

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._closed)
        empty = self._link.guarded(lambda _: self._through())
        channel.add_callback(empty, [pika.spec.Basic.GetEmpty])
        channel.queue_declare(DEAD, passive=True, callback=self._link.guarded(self._counted))

    def _counted(self, frame: Any) -> None:
        # No further: what is tried again may be back before we are through.
        self._left = min(self._left, frame.method.message_count)
        self._next()

    def _next(self) -> None:
        if self._left <= 0:
            self._through()
            return
        self._left -= 1
        self._channel.basic_get(DEAD, self._link.guarded(self._got))

    def _got(self, _channel: Channel, method: Any, properties: Any, body: bytes) -> None:
        self.seen += 1
        dead = dead_letter(body, properties.headers)
        self._visit(self, method.delivery_tag, dead, body, properties.headers)
        self._next()

    def _through(self) -> None:
        self._is_through = True
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._is_through and not self._under_way:
            self._channel.close()

    def _closed(self, _channel: Channel, reason: BaseException) -> None:
        if self.settled.done():
            return
        if self._is_through and not self._under_way:
            self.settled.set_result(self._count)
        else:
            self.settled.set_exception(BrokerUnavailable(f"{DEAD}: {type(reason).__name__}"))


def _looks(headers: Any) -> int:
    count = (headers or {}).get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0
