"""The queue, in numbers."""

from collections.abc import Callable
from dataclasses import dataclass

from common.broker import Broker
from common.errors import BrokerUnavailable
from common.messages import Queue


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """Messages that wait, by queue, and dead letters; None each where the queue does not answer."""

    depths: dict[str, int | None]
    dead: int | None

    @property
    def answers(self) -> bool:
        """Whether there is a queue to speak of."""
        return self.dead is not None


def queue(broker: Broker) -> QueueFacts:
    """What waits now, delayed messages not counted."""
    dead = _ask(broker.dead)
    if dead is None:  # one who does not answer is not asked four times
        return QueueFacts(dict.fromkeys([each.value for each in Queue]), None)
    return QueueFacts(
        {each.value: _ask(lambda each=each: broker.depth(each)) for each in Queue},  # type: ignore[misc]
        dead,
    )


def _ask(question: Callable[[], int]) -> int | None:
    try:
        return question()
    except BrokerUnavailable:
        return None
