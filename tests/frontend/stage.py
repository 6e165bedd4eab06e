"""A real frontend, with its storage and its queue in the test's hands: the test plays the fetcher."""

import http.client
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from common.blobstore import FileBlobStore
from common.broker import Broker, Delivery
from common.broker.opening import open_broker
from common.claims import Claim, Claims
from common.digest import Digest
from common.fills import Epoch, Fill
from common.links import Links
from common.messages import Job, Kind, Message, Queue
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.referrers import ReferrerLists
from common.tags import TagLists, Tags
from tests.parts.process import free_port
from tests.waiting import until


@dataclass
class Answer:
    """What a client got; `cut` when the connection ended short of Content-Length."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = False


@dataclass
class Opened:
    """A response whose headers are here and whose body is read at the test's pace."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        return self.response.read(size)

    def rest(self) -> tuple[bytes, bool]:
        """What is still to come, and whether the connection was cut."""
        try:
            return self.response.read(), False
        except http.client.IncompleteRead as short:
            return short.partial, True
        finally:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self.response.close()
        self.connection.close()


@dataclass
class Stage:
    """One frontend and everything around it."""

    root: Path
    port: int
    broker: Broker
    process: subprocess.Popen[bytes]
    jobs: "queue.Queue[Delivery]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.layout = Layout(str(self.root))
        self.blobs, self.links = FileBlobStore(self.layout), Links(self.layout)
        self.tags, self.tag_lists = Tags(self.layout), TagLists(self.layout)
        self.referrer_lists = ReferrerLists(self.layout)
        self.claims = Claims(self.layout, 5.0)

    def play_fetcher(self) -> None:
        """Take jobs from now on; `next_job` hands them out."""
        held: list[Delivery] = []

        def handle(delivery: Delivery) -> None:
            held.append(delivery)
            self.jobs.put(delivery)

        self.broker.consume([Queue.INTERACTIVE], 16, handle)

    def next_job(self, within: float = 10.0) -> Message:
        """The next job the frontend has asked for."""
        delivery = self.jobs.get(timeout=within)
        delivery.ack()
        return delivery.message

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        """One request, to its end."""
        opened = self.open(path, method, headers)
        response = opened.response
        body, cut = opened.rest()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, body, cut)

    def open(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Opened:
        """One request, to the end of the headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers=headers or {})
        return Opened(connection, connection.getresponse())

    def store_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> Digest:
        """Have a blob in storage and linked."""
        digest = Digest.of(content, algorithm)
        self.blobs.put(digest, content)
        self.links.add(Kind.LAYER, RepositoryName(repository), digest)
        return digest

    def store_manifest(self, repository: str, content: bytes, tag: str | None = None) -> Digest:
        """Have a manifest in storage, linked, and tagged."""
        digest, name = Digest.of(content), RepositoryName(repository)
        self.blobs.put(digest, content)
        self.links.add(Kind.MANIFEST, name, digest)
        if tag is not None:
            self.tags.point(name, Tag(tag), digest)
        return digest


class Filling:
    """A fill under the test's control."""

    def __init__(self, stage: Stage, digest: Digest, repository: str, size: int) -> None:
        self.stage, self.digest, self.size = stage, digest, size
        self.fill = Fill(stage.layout, digest)
        self.fill.admit(RepositoryName(repository))
        claim = stage.claims.acquire(self.fill.folder)
        assert claim is not None
        self.claim: Claim = claim
        self.epoch = Epoch(claim.generation, time.time_ns())
        self._begin()

    def _begin(self) -> None:
        Path(self.fill.spool(self.epoch)).touch()
        self.fill.start(self.epoch, self.size)

    def start_over(self) -> None:
        """Begin a new spool, as after a digest that did not match."""
        old, self.epoch = self.epoch, Epoch(self.epoch.generation, time.time_ns())
        self._begin()
        self.fill.discard(old)

    def write(self, content: bytes) -> None:
        """Append to the spool."""
        with open(self.fill.spool(self.epoch), "ab") as spool:
            spool.write(content)

    def prove(self) -> None:
        """Say that the spool is right."""
        self.fill.prove(self.epoch)

    def commit(self) -> None:
        """Make the spool the blob, and link the members."""
        for member in self.fill.members():
            self.stage.links.refer(Kind.LAYER, member, self.digest)
        self.stage.blobs.commit(self.fill.spool(self.epoch), self.digest)
        for member in self.fill.members():
            self.stage.links.add(Kind.LAYER, member, self.digest)
        self.fill.clear()
        self.claim.release()

    def abandon(self) -> None:
        """Let go, as a holder whose tries are used up."""
        self.fill.clear()
        self.claim.release()


@contextmanager
def stage(root: Path, **sections: Any) -> Iterator[Stage]:
    """A frontend of one worker on a free port; `sections` are merged into its configuration."""
    port = free_port()
    config: dict[str, Any] = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(root)}},
        "http": {"addr": f"127.0.0.1:{port}", "draintimeout": "5s"},
        "proxy": {"remoteurl": "http://127.0.0.1:1", "tagttl": "60s"},
        "frontend": {"workers": 1, "patience": "6s"},
        "fetcher": {"lease": "5s"},
    }
    for name, values in sections.items():
        merged = config.get(name)
        config[name] = {**merged, **values} if isinstance(merged, dict) else values
    file = root.parent / f"{root.name}.yml"
    file.write_text(yaml.safe_dump(config))
    process = subprocess.Popen([sys.executable, "-m", "entrepot", "frontend", str(file)])
    broker = open_broker(f"sqlite://{root}/entrepot/queue/queue.sqlite", name="test")
    on_stage = Stage(root, port, broker, process)
    try:
        until(lambda: _answers(port), within=20, what="the frontend to answer")
        yield on_stage
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(15) == 0
        finally:
            process.kill()
            on_stage.claims.close()
            broker.close()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def random_bytes(size: int, seed: int = 1) -> bytes:
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(size)


def source_repository(job: Job) -> str:
    """The repository a job is about."""
    return job.source.stored


def age(path: str, seconds: float) -> None:
    """Make a file look that much older."""
    found = os.stat(path)
    os.utime(path, (found.st_atime - seconds, found.st_mtime - seconds))
