"""A fetcher's jobs on a real folder, with a real upstream client, and no queue."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from common.claims import Claims
from common.digest import Digest
from common.fills import Fill
from common.messages import Event, FetchBlob, FillFailed, Job, Message, Queue
from common.reference import RepositoryName
from common.rules import Rules
from common.source import Source
from fetcher.announcer import Announcer
from fetcher.jobs import Jobs
from fetcher.leases import Leases
from fetcher.prefetch import Room
from fetcher.storage import Storage, open_storage
from fetcher.upstream import Upstream, UpstreamSettings
from fetcher.upstreams import Configured, Upstreams
from fetcher.worker import Worker

E = TypeVar("E", bound=Event)

LIFETIME = 3600.0


class Recorder:
    """Keeps what is told; the order in which it was is that of the lists."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.published: list[tuple[Queue, Message, float]] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        self.published.append((queue, message, delay))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class Handed:
    """A delivery that remembers how it was settled."""

    message: Message
    queue: Queue = Queue.INTERACTIVE
    attempt: int = 1
    settled: list[str | float] = field(default_factory=list)

    def ack(self) -> None:
        self.settled.append("ack")

    def retry(self, delay: float) -> None:
        self.settled.append(delay)

    def defer(self, delay: float) -> None:
        self.settled.append(f"deferred {delay:g}")

    def reject(self, reason: str) -> None:
        self.settled.append(f"rejected: {reason}")


@dataclass
class Workbench:
    """One fetcher process's objects."""

    storage: Storage
    leases: Leases
    upstreams: Upstreams
    jobs: Jobs
    worker: Worker
    recorder: Recorder
    stopping: threading.Event

    def handle(self, job: Message, **delivery: Any) -> Handed:
        """How the job's delivery was settled."""
        handed = Handed(job, **delivery)
        self.worker.handle(handed)
        return handed

    def failure(self, job: Job, **delivery: Any) -> FillFailed:
        """The one event about a job that fails."""
        self.handle(job, **delivery)
        (event,) = self.recorder.of(FillFailed)
        assert event.key == job.key
        return event

    def data(self, digest: Digest) -> bytes | None:
        """What lies under the digest."""
        path = Path(self.storage.layout.blob(digest))
        return path.read_bytes() if path.exists() else None

    def fill(self, digest: Digest) -> Fill:
        return Fill(self.storage.layout, digest)

    def leftovers(self) -> list[str]:
        """The files in fills, claims and tmp that no fetcher holds open; heartbeat clocks apart."""
        layout = self.storage.layout
        return [
            f"{parent}/{name}"
            for top in (layout.fills, layout.claims, layout.temporary)
            for parent, _folders, names in os.walk(top)
            for name in names
            if not name.startswith("clock.")
        ]


@contextmanager
def workbench(
    root: Path,
    *,
    lease: float = 15.0,
    attempts: int = 5,
    read_timeout: float = 20.0,
    rules: Rules | None = None,
    max_connections: int = 16,
    segments: int = 1,
    segment_size: int = 4 << 20,
    room: Room | None = None,
    prefetch: bool = True,
    **urls: str,
) -> Iterator[Workbench]:
    """A fetcher over `root`; `urls` are the upstreams, `default` the one without a name.

    `rules` are those of all of them.
    """
    with ExitStack() as stack:
        configured: dict[str, Configured] = {}
        for name, url in urls.items():
            name = "" if name == "default" else name
            settings = UpstreamSettings(
                name=name,
                remoteurl=url,
                connect_timeout=2.0,
                read_timeout=read_timeout,
                max_connections=max_connections,
                segments=segments,
                segment_size=segment_size,
            )
            upstream = Upstream(settings)
            stack.callback(upstream.close)
            configured[name] = Configured(upstream, LIFETIME, rules or Rules())
        upstreams = Upstreams(configured)
        storage = open_storage(str(root))
        leases = Leases(Claims(storage.layout, lease))
        stack.callback(leases.close)
        recorder, stopping = Recorder(), threading.Event()
        announcer = Announcer(recorder, upstreams)
        jobs = Jobs(
            storage,
            leases,
            upstreams,
            announcer,
            attempts=attempts,
            stopping=stopping,
            room=room,
            prefetch=prefetch,
        )
        worker = Worker(jobs, storage, leases, announcer)
        yield Workbench(storage, leases, upstreams, jobs, worker, recorder, stopping)


def fetch(repository: str, digest: Digest, upstream: str = "") -> FetchBlob:
    """The job that fetches a blob."""
    return FetchBlob(source=Source(upstream, RepositoryName(repository)), digest=digest)
