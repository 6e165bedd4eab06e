"""How the queue stands, asked at intervals: a scrape never waits for a broker."""

import threading
import time
from typing import Protocol, runtime_checkable

from common import logs
from common.broker import Broker
from common.errors import BrokerUnavailable
from common.messages import Queue
from common.metrics.catalogue import DEAD, DEPTH, OLDEST

_log = logs.get(__name__)

_INTERVAL = 5.0


@runtime_checkable
class Dated(Protocol):
    """A broker that knows since when messages wait; RabbitMQ does not tell of quorum queues."""

    def oldest(self, queue: Queue) -> float:
        """For how many seconds the oldest that is due has waited; raises BrokerUnavailable."""


class QueueWatch:
    """Asks `broker` every five seconds; says nothing of what it does not answer.

    The age of one that does not know it is the time since its queue was last seen empty: what
    waits now came later than that.
    """

    def __init__(self, broker: Broker, interval: float = _INTERVAL) -> None:
        self._broker = broker
        self._interval = interval
        self._empty: dict[Queue, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="queue watch", daemon=True)

    def start(self) -> None:
        """Ask now, and go on."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more; a question under way is left to itself."""
        self._ending.set()

    def look(self) -> None:
        """Ask once."""
        for queue in Queue:
            self._tell(queue)
        try:
            DEAD.of().set(self._broker.dead())
        except BrokerUnavailable:
            DEAD.forget()

    def _tell(self, queue: Queue) -> None:
        asked = time.monotonic()
        try:
            depth = self._broker.depth(queue)
            age = self._age(queue, asked) if depth else 0.0
        except BrokerUnavailable:
            DEPTH.forget(queue.value)
            OLDEST.forget(queue.value)
            return
        if not depth:
            self._empty[queue] = asked
        DEPTH.of(queue.value).set(depth)
        OLDEST.of(queue.value).set(round(age, 1))

    def _age(self, queue: Queue, asked: float) -> float:
        if isinstance(self._broker, Dated):
            return self._broker.oldest(queue)
        return asked - self._empty.setdefault(queue, asked)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - whatever it was, it is looked again
                _log.exception("the queue could not be looked at")
            if self._ending.wait(self._interval):
                return
