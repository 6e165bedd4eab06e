"""How long a message takes from a publisher to another process's handler, in each queue.

    python -m bench.queue_hop [amqp://…]

The embedded queue is made in a temporary folder; RabbitMQ is measured when its URL is given.
Prints, in milliseconds, medians and 99th percentiles of: `confirm`, publish until it is safe;
`hop`, publish until the handler begins; `event`, emit until a listener hears. Then how much of a
processor an idle consumer uses, in percent.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.broker import Broker, Delivery
from common.broker.opening import open_broker
from common.digest import Digest
from common.messages import FetchBlob, FillStarted, Queue
from common.reference import RepositoryName
from common.source import Source

_ROUNDS = 200
_PAUSE_SECONDS = 0.01
_IDLE_SECONDS = 5.0
_WITHIN_SECONDS = 30.0


def main() -> None:
    """Measure each queue there is."""
    with tempfile.TemporaryDirectory() as folder:
        measure("embedded", f"sqlite://{folder}/queue.db")
    for url in sys.argv[1:2]:
        measure("rabbitmq", url)


def measure(title: str, url: str) -> None:
    """Print the figures of the queue at `url`."""
    broker = open_broker(url, name="entrepot: bench")
    with consumer(url) as idle_percent:
        heard = Heard(broker)
        # The first ones pay for connecting and for the files being made.
        heard.until_answered(lambda: broker.publish(Queue.INTERACTIVE, job()))
        report(title, "confirm", [confirm(broker) for _ in range(_ROUNDS)])
        report(title, "hop", [hop(broker, heard) for _ in range(_ROUNDS)])
        report(title, "event", [event(broker, heard) for _ in range(_ROUNDS)])
        print(f"{title:10} idle consumer {idle_percent():8.3f} % of a processor")
    broker.close()


def job() -> FetchBlob:
    """A job of a key of its own."""
    name = str(time.monotonic_ns()).encode()
    return FetchBlob(source=Source("", RepositoryName("bench")), digest=Digest.of(name))


class Heard:
    """When the last event was heard, by the clock that all processes share."""

    def __init__(self, broker: Broker) -> None:
        self._event = threading.Event()
        self.key = ""
        broker.subscribe(self._hear)

    def _hear(self, heard: object) -> None:
        if isinstance(heard, FillStarted):
            self.key = heard.key
            self._event.set()

    def next(self, do: Callable[[], object]) -> str:
        """Do it, then wait for an event; its key."""
        self._event.clear()
        do()
        if not self._event.wait(_WITHIN_SECONDS):
            raise TimeoutError("nothing was heard")
        return self.key

    def until_answered(self, do: Callable[[], object]) -> None:
        """Do it again and again until an event comes of it."""
        while not self._event.wait(0.5):
            do()


def confirm(broker: Broker) -> float:
    """Publish until it is safe; nobody consumes the queue."""
    time.sleep(_PAUSE_SECONDS)
    begun = time.monotonic()
    broker.publish(Queue.PREFETCH, job()).result(_WITHIN_SECONDS)
    return time.monotonic() - begun


def hop(broker: Broker, heard: Heard) -> float:
    """Publish until the other process's handler begins, which tells us when it did."""
    time.sleep(_PAUSE_SECONDS)
    begun = time.monotonic()
    return float(heard.next(lambda: broker.publish(Queue.INTERACTIVE, job()))) - begun


def event(broker: Broker, heard: Heard) -> float:
    """Emit until it is heard, through the same channel as from elsewhere."""
    time.sleep(_PAUSE_SECONDS)
    begun = time.monotonic()
    heard.next(lambda: broker.emit(FillStarted(key="event", digest=Digest.of(b""))))
    return time.monotonic() - begun


@contextmanager
def consumer(url: str) -> Iterator[Callable[[], float]]:
    """Another process that consumes; gives what tells its use of the processor while idle."""
    process = subprocess.Popen([sys.executable, "-m", "bench.queue_hop", "--consume", url])

    def used() -> float:
        tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def idle_percent() -> float:
        before = used()
        time.sleep(_IDLE_SECONDS)
        return (used() - before) / _IDLE_SECONDS * 100

    try:
        yield idle_percent
    finally:
        process.kill()
        process.wait()


def consume(url: str) -> None:
    """Answer each job with an event that tells when its handler began."""
    broker = open_broker(url, name="entrepot: bench consumer")

    def answer(delivery: Delivery) -> None:
        begun = time.monotonic()
        delivery.ack()
        broker.emit(FillStarted(key=str(begun), digest=Digest.of(b"")))

    broker.consume([Queue.INTERACTIVE], 2, answer)
    threading.Event().wait()


def report(title: str, what: str, seconds: list[float]) -> None:
    """One line: median and 99th percentile."""
    median = statistics.median(seconds) * 1000
    tail = statistics.quantiles(seconds, n=100)[-1] * 1000
    print(f"{title:10} {what:8} median {median:7.2f} ms   99 % {tail:7.2f} ms")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--consume"]:
        consume(sys.argv[2])
    else:
        main()
