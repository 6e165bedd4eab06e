"""The fetcher as a process: started, drained, killed."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from common.blobstore import FileBlobStore
from common.broker import Broker
from common.broker.opening import open_broker
from common.digest import Digest
from common.fills import Fill
from common.links import Links
from common.messages import Event, FetchBlob, FillCommitted, FillFailed, Kind, Queue
from common.owner import decode_owner
from common.paths import Layout
from common.reference import RepositoryName
from common.source import Source
from common.version import VERSION
from tests.parts.counting import Upstream
from tests.parts.faults import HoldBody, Status, Throttle
from tests.parts.process import Process
from tests.waiting import until

LAYER = random.Random(3).randbytes(16 * 1024 * 1024)
SIZE = len(LAYER)
HELD_AT = 8 * 1024 * 1024
APP = RepositoryName("team/app")


class Fleet:
    """Fetchers that share a folder, a queue and an upstream."""

    def __init__(self, root: Path, queue_url: str, upstream: Upstream) -> None:
        self.root = root
        self.layout = Layout(str(root / "storage"))
        self.upstream = upstream
        self.processes: list[Process] = []
        self.broker: Broker = open_broker(queue_url, name="test")
        self.events: list[Event] = []
        self.broker.subscribe(self.events.append)
        self.config = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(root / "storage")}},
            "http": {"addr": "127.0.0.1:0", "draintimeout": "20s"},
            "proxy": {"remoteurl": upstream.url},
            "queue": {"url": queue_url},
            # One stream for each blob, so that a test can hold it anywhere and count.
            "fetcher": {"lease": "3s", "segments": 1},
        }

    def start(self) -> Process:
        config = self.root / f"config{len(self.processes)}.yml"
        config.write_text(yaml.safe_dump(self.config))
        process = Process(
            [sys.executable, "-m", "entrepot", "fetcher", str(config)],
            log=self.root / f"fetcher{len(self.processes)}.log",
        )
        self.processes.append(process)
        until(
            lambda: "fetcher fetches" in process.output() or process.exit_code is not None,
            within=30,
            what="the fetcher to be ready",
        )
        return process

    def ask(self, digest: Digest) -> FetchBlob:
        job = FetchBlob(source=Source("", APP), digest=digest)
        self.broker.publish(Queue.INTERACTIVE, job).result(20)
        return job

    def failures(self) -> list[FillFailed]:
        """The failures told so far."""
        return [event for event in self.events if isinstance(event, FillFailed)]

    def spooled(self, digest: Digest) -> int:
        """How many bytes of the running fill there are."""
        started = Fill(self.layout, digest).started()
        return os.path.getsize(started.spool) if started else 0

    def until_served(self, digest: Digest) -> None:
        links = Links(self.layout)
        until(
            lambda: links.has(Kind.LAYER, APP, digest),
            within=40,
            what=f"the link; {[process.output() for process in self.processes]}",
        )
        blob = FileBlobStore(self.layout).read(digest, SIZE)
        assert blob == LAYER

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.broker.close()


@pytest.fixture(params=["embedded", "rabbitmq"])
def any_fleet(
    request: pytest.FixtureRequest, tmp_path: Path, upstream: Upstream
) -> Iterator[Fleet]:
    """With either queue."""
    embedded = f"sqlite://{tmp_path}/queue/queue.sqlite"
    url = embedded if request.param == "embedded" else request.getfixturevalue("amqp_url")
    fleet = Fleet(tmp_path, url, upstream)
    yield fleet
    fleet.close()


@pytest.fixture
def fleet(tmp_path: Path, upstream: Upstream) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, f"sqlite://{tmp_path}/queue/queue.sqlite", upstream)
    yield fleet
    fleet.close()


def test_a_job_is_done_and_told(fleet: Fleet, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    process = fleet.start()

    job = fleet.ask(digest)

    fleet.until_served(digest)
    committed = FillCommitted(key=job.key, digest=digest)
    until(lambda: committed in fleet.events, what="the event")
    title = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0 ")
    assert title == "entrepot: fetcher"
    assert process.terminate() == 0


def test_the_upstream_is_told_who_asks(fleet: Fleet, upstream: Upstream) -> None:
    fleet.ask(upstream.add_blob(APP, LAYER))
    fleet.start()

    until(lambda: upstream.seen("*/blobs/*"), within=20, what="the request")
    (request,) = upstream.seen("*/blobs/*")
    assert request.headers["user-agent"] == f"entrepot/{VERSION}"


def test_what_one_fetcher_process_was_told_another_obeys(fleet: Fleet, upstream: Upstream) -> None:
    upstream.fail("*", Status(429, retry_after="60"), methods=("GET", "HEAD"))
    first = fleet.start()
    job = fleet.ask(upstream.add_blob(APP, LAYER))
    told = until(fleet.failures, within=20, what="the failure")
    assert (told[0].key, told[0].status, told[0].code) == (job.key, 503, "TOOMANYREQUESTS")
    assert first.terminate() == 0

    fleet.start()
    other = fleet.ask(upstream.add_blob(APP, LAYER[1:]))

    told = until(lambda: fleet.failures()[1:], within=20, what="the other failure")
    assert (told[0].key, told[0].code) == (other.key, "TOOMANYREQUESTS")
    assert 0 < (told[0].retry_after or 0) <= 60
    assert len(upstream.seen()) == 1


def test_a_proxy_in_the_environment_is_told_of_by_name(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@127.0.0.1:1")

    output = fleet.start().output()

    told = [line for line in output.splitlines() if "not by a proxy" in line]
    assert len(told) == 1
    assert "HTTPS_PROXY" in told[0]
    assert "hush" not in output


def test_a_passwordfile_that_cannot_be_read_is_a_wrong_configuration(fleet: Fleet) -> None:
    fleet.config["proxy"] = {
        "remoteurl": "https://registry.example",
        "username": "mary",
        "passwordfile": "/no/such/password",
    }

    process = fleet.start()

    assert process.exit_code == 2
    assert "/no/such/password" in process.output()
    assert "Traceback" not in process.output()


def test_a_fetcher_killed_in_mid_download_is_succeeded_by_range(
    any_fleet: Fleet, upstream: Upstream
) -> None:
    fleet = any_fleet
    digest = upstream.add_blob(APP, LAYER)
    hold = HoldBody(HELD_AT)
    upstream.fail("*/blobs/*", hold, times=1)
    processes = {process.pid: process for process in (fleet.start(), fleet.start())}
    fleet.ask(digest)
    until(lambda: fleet.spooled(digest) == HELD_AT, within=20, what="half of the blob")

    folder = fleet.layout.fill(digest)
    (claim,) = (name for name in os.listdir(folder) if name.startswith("claim."))
    owner = decode_owner(Path(folder, claim).read_bytes())
    assert owner is not None
    processes[owner.pid].kill()

    fleet.until_served(digest)
    hold.release()
    _, second = upstream.seen("*/blobs/*", "GET")
    assert second.headers["range"] == f"bytes={HELD_AT}-"
    assert upstream.sent("*/blobs/*") < SIZE * 1.3
    until(lambda: not os.path.exists(folder), what="the fill's folder to go")


def test_a_running_fill_is_finished_before_the_end(fleet: Fleet, upstream: Upstream) -> None:
    digest = upstream.add_blob(APP, LAYER)
    hold = HoldBody(HELD_AT)
    upstream.fail("*/blobs/*", hold)
    process = fleet.start()
    fleet.ask(digest)
    until(lambda: fleet.spooled(digest) == HELD_AT, within=20, what="half of the blob")

    os.kill(process.pid, signal.SIGTERM)
    until(lambda: "fetcher drains" in process.output(), what="the drain")
    hold.release()

    until(lambda: process.exit_code is not None, within=20, what="its end")
    assert process.exit_code == 0
    fleet.until_served(digest)
    assert upstream.sent("*/blobs/*") == SIZE


def test_a_fill_that_outlasts_the_drain_is_left_to_a_successor(
    fleet: Fleet, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    hold = HoldBody(HELD_AT)
    upstream.fail("*/blobs/*", hold, times=1)
    fleet.config["http"] = {"addr": "127.0.0.1:0", "draintimeout": "1s"}
    process = fleet.start()
    fleet.ask(digest)
    until(lambda: fleet.spooled(digest) == HELD_AT, within=20, what="half of the blob")

    # The upstream sends nothing more: the handler cannot even notice that it is to stop.
    assert process.terminate() == 0
    assert FileBlobStore(fleet.layout).size(digest) is None
    fleet.start()

    fleet.until_served(digest)
    hold.release()
    assert upstream.sent("*/blobs/*") < SIZE * 1.3


def test_a_fill_in_parts_that_outlasts_the_drain_is_left_to_a_successor(
    fleet: Fleet, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, LAYER)
    upstream.fail("*/blobs/*", Throttle(1_000_000))
    fleet.config["http"] = {"addr": "127.0.0.1:0", "draintimeout": "1s"}
    fleet.config["fetcher"] = {"lease": "3s", "segments": 4, "segmentsize": "1MiB"}
    process = fleet.start()
    fleet.ask(digest)
    path = "*/blobs/*"
    until(lambda: len(upstream.seen(path, "GET")) > 4, within=20, what="parts under way")

    assert process.terminate() == 0
    assert FileBlobStore(fleet.layout).size(digest) is None
    upstream.heal()
    fleet.start()

    fleet.until_served(digest)


def test_a_cafile_that_cannot_be_read_is_a_wrong_configuration(fleet: Fleet) -> None:
    fleet.config["proxy"] = {"remoteurl": "https://registry.example", "cafile": "/no/such.pem"}

    process = fleet.start()

    assert process.exit_code == 2
    assert "cafile" in process.output()
    assert "Traceback" not in process.output()
