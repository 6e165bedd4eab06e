"""A broker that takes messages and keeps count; what real ones do is shown with a real one."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from common.broker import Delivery
from common.broker.letters import DeadLetter
from common.errors import BrokerUnavailable
from common.messages import Event, Message, Queue


@dataclass
class RecordingBroker:
    """Confirms at once what is published, or, while it is not `connected`, refuses it."""

    connected: bool = True
    published: list[tuple[Message, float]] = field(default_factory=list)
    refused: int = 0

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        """Keep the message and its delay."""
        assert queue is Queue.EXPIRY
        future: Future[None] = Future()
        if self.connected:
            self.published.append((message, delay))
            future.set_result(None)
        else:
            self.refused += 1
            future.set_exception(BrokerUnavailable("away"))
        return future

    def consume(
        self,
        queues: Sequence[Queue],
        slots: int,
        handler: Callable[[Delivery], None],
        *,
        reserved: int = 0,
    ) -> None:
        """Deliver nothing."""

    def emit(self, event: Event) -> None:
        """Nobody listens."""

    def subscribe(
        self, listener: Callable[[Event], None], on_gap: Callable[[], None] = lambda: None
    ) -> None:
        """Tell nothing."""

    def depth(self, queue: Queue) -> int:
        """Nothing waits."""
        return 0

    def dead(self) -> int:
        """Nothing is dead."""
        return 0

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """There are none."""
        return []

    def retry_dead(self, ids: Collection[str] | None = None) -> int:
        """There are none."""
        return 0

    def drop_dead(self, ids: Collection[str] | None = None) -> int:
        """There are none."""
        return 0

    def close(self, drain: float = 0.0) -> None:
        """Nothing to close."""


@dataclass
class RecordingDelivery:
    """A delivery that remembers how it was settled."""

    message: Message
    queue: Queue = Queue.EXPIRY
    attempt: int = 1
    settled: list[str] = field(default_factory=list)

    def ack(self) -> None:
        """Done."""
        self.settled.append("ack")

    def retry(self, delay: float) -> None:
        """Again."""
        self.settled.append(f"retry {delay:g}")

    def defer(self, delay: float) -> None:
        """Again, as if nothing had been."""
        self.settled.append(f"defer {delay:g}")

    def reject(self, reason: str) -> None:
        """Dead."""
        self.settled.append(f"reject {reason}")
