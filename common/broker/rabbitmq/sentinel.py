"""A consumer that takes nothing, and whose end says that a queue is gone, whoever declares it anew.

Before 4.0 a channel whose queue is deleted looks whether there is a queue of that name. When another
process has declared one in that moment, the channel consumes from it without a word and then forgets
that it does: what the queue sends it is lost on the way until it closes. Where it cannot consume, it
cancels, and tells us (rabbit_channel.erl, `handle_consuming_queue_down_or_eol`).

Hence a channel that cannot: quorum queues refuse consumers of a channel with a global prefetch, and
this one gets its after it has consumed. Without credit its consumers are sent nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pika.compat import long

from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.topology import Channel, queue_name
from common.messages import Queue

_NO_CREDIT = {"x-credit": {"credit": long(0), "drain": False}}
# Consumers are always told from here on; a global prefetch is refused since 4.3.
_ALWAYS_TOLD = 4


class Sentinel:
    """Begins the connection anew when one of the queues that are consumed was deleted."""

    def __init__(self, link: Link, queues: Sequence[Queue]) -> None:
        """`post` begins it."""
        self._link = link
        self._queues = tuple(queues)

    def post(self, then: Callable[[], None]) -> None:
        """Stand by the queues of a new connection, and call `then`: what consumes before may be deaf.

        A broker that will have no such consumer costs the sentinel, not the connection.
        """
        if self._link.broker_major >= _ALWAYS_TOLD:
            then()
            return
        left = [then]

        def once(*_: Any) -> None:
            while left:
                left.pop()()

        self._link.scratch_channel(lambda channel: self._stand(channel, self._link.guarded(once)))

    def _stand(self, channel: Channel, posted: Callable[..., None]) -> None:
        generation = self._link.generation

        def closed(_channel: Channel, _reason: BaseException) -> None:
            # Not when it is the connection that ends: there is nothing to consume from then.
            if generation == self._link.generation and self._link.is_up:
                posted()

        channel.add_on_close_callback(closed)
        channel.add_on_cancel_callback(lambda _: self._link.fail("a queue was deleted"))
        for queue in self._queues:
            channel.basic_consume(queue_name(queue), _nothing, arguments=_NO_CREDIT)
        channel.basic_qos(prefetch_count=1, global_qos=True, callback=posted)


def _nothing(*_: Any) -> None:
    """Is never called."""
