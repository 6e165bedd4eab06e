"""Passing a received message on to where it belongs."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.parcel import Parcel
from common.broker.rabbitmq.publisher import Publisher
from common.broker.rabbitmq.taps import Taps, Ticket

# Between attempts to publish what the broker refused, in seconds.
_AGAIN_SECONDS = 1.0


class Forwarder:
    """Publishes first and acknowledges when that is confirmed.

    In between a message may be twice, but never nowhere. Nothing is requeued instead: that would
    be at once, and count as a failure of its consumer.
    """

    def __init__(self, link: Link, publisher: Publisher, taps: Taps) -> None:
        self._link = link
        self._publisher = publisher
        self._taps = taps

    def forward(
        self,
        ticket: Ticket,
        parcel: Parcel,
        then: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish `parcel` in place of the delivery it came with, then acknowledge that.

        What the broker does not take is tried again while the delivery is held. `then` is called
        when it is published; `lost` when it can no longer be, because the delivery's connection is
        gone: the broker delivers it again.
        """
        published = self._publisher.publish(
            parcel.exchange, parcel.queue.value, parcel.body, parcel.headers
        )
        published.add_done_callback(partial(self._published, ticket, parcel, then, lost))

    def _published(
        self,
        ticket: Ticket,
        parcel: Parcel,
        then: Callable[[], None],
        lost: Callable[[], None],
        published: Future[None],
    ) -> None:
        if published.exception() is None:
            # In this order: a run that has not ended but lost its delivery would seem to need a
            # slot, and a tap be cancelled for it.
            then()
            self._taps.ack(ticket)
        elif self._taps.holds(ticket):
            again = partial(self.forward, ticket, parcel, then, lost)
            self._link.later(_AGAIN_SECONDS, again)
        else:
            lost()
