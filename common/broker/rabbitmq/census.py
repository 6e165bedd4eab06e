"""How many messages a queue holds."""

from concurrent.futures import Future
from functools import partial
from typing import Any

from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.topology import Channel
from common.errors import BrokerUnavailable

_ANSWER_SECONDS = 5.0


def count(link: Link, queue: str) -> int:
    """Messages of `queue` that wait for a consumer; for any thread but the link's.

    Raises BrokerUnavailable without a connection, or without an answer within 5 s.
    """
    counted: Future[int] = Future()
    link.call(partial(_ask, link, queue, counted))
    try:
        return counted.result(_ANSWER_SECONDS)
    except TimeoutError as error:
        raise BrokerUnavailable("the broker does not answer") from error


def _ask(link: Link, queue: str, counted: Future[int]) -> None:
    if not link.is_up:
        counted.set_exception(BrokerUnavailable("no connection to the broker"))
        return
    # A channel for the one question: a queue that is missing closes it.
    link.scratch_channel(partial(_declare, queue, counted))


def _declare(queue: str, counted: Future[int], channel: Channel) -> None:
    def answered(frame: Any) -> None:
        counted.set_result(frame.method.message_count)
        if channel.is_open:  # not where the connection has begun to close meanwhile
            channel.close()

    def closed(_channel: Channel, reason: BaseException) -> None:
        if not counted.done():
            counted.set_exception(BrokerUnavailable(f"{queue}: {type(reason).__name__}"))

    channel.add_on_close_callback(closed)
    channel.queue_declare(queue, passive=True, callback=answered)
