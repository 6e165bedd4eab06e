"""What the tests of the queue are written with."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from common.broker import Broker, Delivery
from common.broker.embedded.broker import EmbeddedBroker
from common.broker.opening import open_broker
from common.broker.rabbitmq.broker import RabbitBroker
from common.digest import Digest
from common.messages import ExpireLink, FetchBlob, FillStarted, Kind, Queue
from common.reference import RepositoryName
from common.source import Source
from tests.parts.process import Process
from tests.waiting import until

SOURCE = Source("", RepositoryName("library/thing"))


def job(name: object) -> FetchBlob:
    """A job whose key is its own for each `name`."""
    return FetchBlob(source=SOURCE, digest=Digest.of(str(name).encode()))


def expiry(name: object) -> ExpireLink:
    """The same for an expiry."""
    return ExpireLink(source=SOURCE, digest=Digest.of(str(name).encode()), kind=Kind.LAYER)


def event(name: object) -> FillStarted:
    """An event whose key tells it from others."""
    return FillStarted(key=f"event {name}", digest=Digest.of(str(name).encode()))


class Handled(NamedTuple):
    """One call of a handler; `at` is monotonic."""

    key: str
    attempt: int
    queue: Queue
    at: float


class Recorder:
    """A handler that notes its calls, then does as it is told."""

    def __init__(
        self, decide: Callable[[Delivery], None] = lambda delivery: delivery.ack()
    ) -> None:
        self._decide = decide
        self.calls: list[Handled] = []

    def __call__(self, delivery: Delivery) -> None:
        now = time.monotonic()
        self.calls.append(Handled(delivery.message.key, delivery.attempt, delivery.queue, now))
        self._decide(delivery)

    @property
    def keys(self) -> list[str]:
        return [call.key for call in self.calls]

    @property
    def attempts(self) -> list[int]:
        return [call.attempt for call in self.calls]

    def until(self, count: int, within: float = 15.0) -> None:
        """Wait for that many calls."""
        until(lambda: len(self.calls) >= count, within, f"{count} deliveries")


class Gate:
    """A handler that waits to be let go, then acknowledges."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.opened.wait(60)
        delivery.ack()


class Brokers:
    """Opens brokers at one place and closes what is left of them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self._open: list[Broker] = []
        self._children: list[Process] = []

    def open(self) -> Broker:
        """A broker of its own connection."""
        broker = open_broker(self.url, name="entrepot: test")
        self._open.append(broker)
        return broker

    def child(self, role: str, *arguments: str) -> "Child":
        """A process that opens the same queue; see broker_child for its roles."""
        child = Child(self.url, self._folder, len(self._children), role, *arguments)
        self._children.append(child)
        return child

    def close(self) -> None:
        for child in self._children:
            child.kill()
        for broker in self._open:
            broker.close()


class Child(Process):
    """A process of broker_child."""

    def __init__(self, url: str, folder: Path, number: int, role: str, *arguments: str) -> None:
        super().__init__(
            [sys.executable, "-m", "tests.common.broker_child", url, role, *arguments],
            log=folder / f"child-{number}.log",
            cwd=Path(__file__).parents[2],
        )

    def until_said(self, text: str, within: float = 20.0) -> None:
        """Wait until it printed `text`."""
        until(lambda: text in self.output(), within, f"the child to say {text!r}")

    def said(self, word: str) -> list[str]:
        """The lines that begin with `word`, without it."""
        lines = self.output().splitlines()
        return [line.removeprefix(word + " ") for line in lines if line.startswith(word + " ")]

    def switches(self) -> int:
        """How often its threads went to sleep so far."""
        return sum(
            _voluntary_switches(Path(f"/proc/{self.pid}/task/{task}/status"))
            for task in os.listdir(f"/proc/{self.pid}/task")
        )


def _voluntary_switches(status: Path) -> int:
    try:
        lines = status.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))


def until_connected(broker: Broker) -> None:
    """A publication waits for a connection but two seconds, and to declare all may take longer."""
    until(lambda: broker.connected, 30, "the queue to be in reach")


def publish_garbage(broker: Broker, queue: Queue) -> None:
    """Put something nobody can decode into `queue`."""
    body = b"\x00 not a message"
    if isinstance(broker, EmbeddedBroker):
        broker._scribe.submit(lambda ledger: ledger.put(queue, "garbage", body, 0)).result(10)
    elif isinstance(broker, RabbitBroker):
        broker._publisher.publish("entrepot.jobs.v1", queue.value, body, {}).result(10)
