"""The RabbitMQ backend."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

from common.broker import Delivery
from common.broker.letters import DeadLetter
from common.broker.listeners import Listeners
from common.broker.rabbitmq.census import count
from common.broker.rabbitmq.consumer import HOLD_SECONDS, Consumer
from common.broker.rabbitmq.feed import Feed
from common.broker.rabbitmq.graveyard import Graveyard
from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.parameters import parameters
from common.broker.rabbitmq.parcel import Parcel
from common.broker.rabbitmq.publisher import Publisher
from common.broker.rabbitmq.topology import DEAD, queue_name
from common.broker.rabbitmq.vigil import LOOK_SECONDS
from common.messages import Event, Message, Queue, encode

# How long closing waits for publications under way, in seconds.
_FLUSH_SECONDS = 2.0
_PAUSE_SECONDS = 0.01


class RabbitBroker:
    """A Broker at RabbitMQ; connects from the moment it is made, and again whenever it must."""

    def __init__(
        self, url: str, *, name: str, hold: float = HOLD_SECONDS, look: float = LOOK_SECONDS
    ) -> None:
        """`hold` is how long a delivery is held before a continuation takes its place, in seconds;
        every `look` seconds it is looked whether the broker still delivers.

        Raises ValueError for what is no AMQP URL.
        """
        self._link = Link(parameters(url, name))
        self._publisher = Publisher(self._link)
        self._graveyard = Graveyard(self._link, self._publisher)
        self._listeners = Listeners()
        self._feed = Feed(self._link, self._listeners)
        self._hold = hold
        self._look = look
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._link.start()
        self._link.join(self._publisher)
        self._link.join(self._feed)

    @property
    def connected(self) -> bool:
        """See Broker."""
        return self._publisher.ready

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        """See Broker."""
        parcel = Parcel(queue, encode(message)).delayed(delay)
        return self._publisher.publish(
            parcel.exchange, parcel.queue.value, parcel.body, parcel.headers
        )

    def consume(
        self,
        queues: Sequence[Queue],
        slots: int,
        handler: Callable[[Delivery], None],
        *,
        reserved: int = 0,
    ) -> None:
        """See Broker."""
        with self._lock:
            if self._consumer is not None:
                raise RuntimeError("consume is called once")
            self._consumer = Consumer(
                self._link,
                self._publisher,
                queues,
                slots,
                handler,
                self._hold,
                self._look,
                reserved=reserved,
            )

    def emit(self, event: Event) -> None:
        """See Broker."""
        self._feed.emit(encode(event))

    def subscribe(
        self, listener: Callable[[Event], None], on_gap: Callable[[], None] = lambda: None
    ) -> None:
        """See Broker."""
        self._listeners.add(listener, on_gap)
        self._feed.listen()

    def depth(self, queue: Queue) -> int:
        """See Broker."""
        return count(self._link, queue_name(queue))

    def dead(self) -> int:
        """See Broker."""
        return count(self._link, DEAD)

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """See Broker."""
        return self._graveyard.letters(limit)

    def retry_dead(self, ids: Collection[str] | None = None) -> int:
        """See Broker."""
        return self._graveyard.retry(ids)

    def drop_dead(self, ids: Collection[str] | None = None) -> int:
        """See Broker."""
        return self._graveyard.drop(ids)

    def close(self, drain: float = 0.0) -> None:
        """See Broker."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(drain)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while not self._publisher.settled and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        self._link.close()
        self._publisher.end()
