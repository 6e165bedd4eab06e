"""Events: out to everybody, and in from everybody, ourselves included."""

from functools import partial
from typing import Any

import pika

from common.broker.listeners import Listeners
from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.topology import EVENTS, Channel, event_queue_arguments
from common.errors import BrokerUnavailable


class Feed:
    """A channel of its own, without confirms: events are hints, and must not wait for work."""

    def __init__(self, link: Link, listeners: Listeners) -> None:
        self._link = link
        self._listeners = listeners
        self._channel: Channel = None
        self._subscribed = False

    def emit(self, body: bytes) -> None:
        """Publish, or drop it when there is no connection; for any thread."""
        try:
            self._link.call(partial(self._emit, body))
        except BrokerUnavailable:
            return

    def listen(self) -> None:
        """Begin to hear events, now or at the next connection; for any thread."""
        self._link.call(self._subscribe)

    def up(self) -> None:
        """See Part."""
        self._link.open_channel(self._opened)

    def down(self) -> None:
        """See Part."""
        self._channel = None
        self._subscribed = False

    def _emit(self, body: bytes) -> None:
        if self._channel is not None and self._channel.is_open:
            transient = pika.BasicProperties(content_type="application/json", delivery_mode=1)
            self._channel.basic_publish(EVENTS, "", body, transient)

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        self._subscribe()

    def _subscribe(self) -> None:
        """Exclusive and auto-delete: the queue goes with the connection, whatever ends that."""
        if self._channel is None or self._subscribed or not self._listeners:
            return
        self._subscribed = True
        self._channel.queue_declare(
            "",
            exclusive=True,
            auto_delete=True,
            arguments=event_queue_arguments(),
            callback=self._link.guarded(partial(self._declared, self._channel)),
        )

    def _declared(self, channel: Channel, frame: Any) -> None:
        queue = frame.method.queue
        channel.queue_bind(queue, EVENTS)
        channel.basic_consume(
            queue,
            self._link.guarded(self._received),
            auto_ack=True,
            # From here on nothing is missed; what was before may have been.
            callback=self._link.guarded(lambda _: self._listeners.tell_gap()),
        )

    def _received(self, _channel: Channel, _method: Any, _properties: Any, body: bytes) -> None:
        self._listeners.tell(body)
