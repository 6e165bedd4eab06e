"""The janitor whole, at a real queue, in this process and in one of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.broker import Broker
from common.broker.opening import open_broker
from common.digest import Digest
from common.links import Links
from common.messages import Expiry, Kind, Queue
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import Tags
from janitor.periodic import Periodic
from janitor.worker import Janitor
from tests.common.broker_parts import until_connected
from tests.janitor.house import House, content_of, expire_link, expire_tag
from tests.waiting import until

_CONTENT = content_of("layer")
_REPOSITORY = RepositoryName("app")
_TAG = Tag("v1")
_TTL = 1.5


@pytest.fixture(params=["embedded", "RabbitMQ"])
def queue_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "embedded":
        return f"sqlite://{tmp_path}/entrepot/queue/queue.sqlite"
    url: str = request.getfixturevalue("amqp_url")
    return url


@pytest.fixture
def broker(queue_url: str) -> Iterator[Broker]:
    """The other side of the janitor's queue."""
    opened = open_broker(queue_url, name="test")
    yield opened
    opened.close()


@pytest.fixture
def ttl() -> float:
    """How long what nobody uses lives, in seconds."""
    return _TTL


@pytest.fixture
def janitor(tmp_path: Path, queue_url: str, broker: Broker, ttl: float) -> Iterator[Janitor]:
    worker = Janitor(
        str(tmp_path),
        open_broker(queue_url, name="test janitor"),
        ttls={"": ttl},
        grace=0.5,
        sweep_interval=3600.0,
        lease=10.0,
    )
    worker.start()
    house = House(tmp_path, is_adopted=False)
    until(lambda: house.adoption.last_walk() is not None, 30)
    house.claims.close()
    yield worker
    worker.stop(10.0)


def _announce(broker: Broker, message: Expiry, delay: float = _TTL) -> None:
    until_connected(broker)
    broker.publish(Queue.EXPIRY, message, delay=delay).result(10)


def _files(root: Path) -> set[str]:
    """All files but the queue's, the walk's record and the storage clock's."""
    own = ("entrepot/queue/", "entrepot/adopted", "entrepot/tmp/")
    found = {
        os.path.relpath(f"{parent}/{name}", root)
        for parent, _folders, files in os.walk(root)
        for name in files
    }
    return {path for path in found if not path.startswith(own)}


def test_content_nobody_uses_goes_to_the_last_file(
    tmp_path: Path, broker: Broker, janitor: Janitor
) -> None:
    house = House(tmp_path, is_adopted=False)
    layer = house.fill("app", _CONTENT)
    manifest = house.fill("app", content_of("manifest"), Kind.MANIFEST)
    house.tags.point(_REPOSITORY, _TAG, manifest)
    _announce(broker, expire_link("app", layer))
    _announce(broker, expire_link("app", manifest, Kind.MANIFEST))
    _announce(broker, expire_tag("app", _TAG))
    until(lambda: _files(tmp_path) == set(), within=20, what="an empty folder")
    assert broker.dead() == 0


# Long enough that no mark comes too late.
@pytest.mark.parametrize("ttl", [6.0])
def test_content_in_use_stays_until_it_is_not(
    tmp_path: Path, broker: Broker, janitor: Janitor, ttl: float
) -> None:
    house = House(tmp_path, is_adopted=False)
    used, unused = house.fill("app", _CONTENT), house.fill("app", content_of("unused"))
    _announce(broker, expire_link("app", used), ttl)
    _announce(broker, expire_link("app", unused), ttl)

    def unused_is_gone() -> bool:
        house.links.mark(Kind.LAYER, _REPOSITORY, used)
        return not house.has("app", unused)

    until(unused_is_gone, within=40)
    assert house.blobs.read(used, 1000) == _CONTENT
    until(lambda: not house.has("app", used), within=40, what="the end of the renewed life")


def test_an_event_that_came_too_early_comes_again(
    tmp_path: Path, broker: Broker, janitor: Janitor
) -> None:
    house = House(tmp_path, is_adopted=False)
    digest = house.fill("app", _CONTENT)
    _announce(broker, expire_link("app", digest), delay=0.0)
    until(lambda: not house.has("app", digest), within=20)


_PROGRAM = """
import sys
from common.config import Document, load
from janitor.main import run

sys.exit(run(load(sys.argv[1], {}, Document("", "")).config))
"""

_CONFIGURATION = """
version: 0.1
log: {{formatter: json}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
proxy: {{remoteurl: "https://registry.example.com", ttl: {ttl}s}}
janitor: {{grace: 500ms}}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_who_it_is_works_and_drains(
    tmp_path: Path, number: signal.Signals
) -> None:
    root, configuration = tmp_path / "root", tmp_path / "config.yml"
    configuration.write_text(_CONFIGURATION.format(root=root, ttl=_TTL))
    layout = Layout(str(root))
    digest = Digest.of(_CONTENT)
    FileBlobStore(layout).put(digest, _CONTENT)
    Links(layout).add(Kind.MANIFEST, _REPOSITORY, digest)
    later = time.time() + 60  # however slowly the janitor starts
    os.utime(layout.link(Kind.MANIFEST, _REPOSITORY, digest), (later, later))
    Tags(layout).point(_REPOSITORY, _TAG, digest)
    child = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(configuration)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            # The link has its reference, so only the tag is new here and gets an event.
            until(lambda: Tags(layout).names(_REPOSITORY) == [], within=20)
            title = Path(f"/proc/{child.pid}/cmdline").read_bytes()
            assert title.startswith(b"entrepot: janitor")
            child.send_signal(number)
            assert child.wait(20) == 0
        finally:
            child.kill()
        assert child.stderr is not None
        said = child.stderr.read()
    assert "janitor ended" in said
    assert "Traceback" not in said
    assert list((root / "entrepot" / "tmp").iterdir()) == []
    assert Links(layout).has(Kind.MANIFEST, _REPOSITORY, digest)


def test_work_that_fails_comes_round_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("janitor.periodic._AFTER_FAILURE", 0.01)
    stop, calls = threading.Event(), []

    def work() -> float:
        calls.append(1)
        if len(calls) < 3:
            raise OSError(os.strerror(5))
        return 3600.0

    periodic = Periodic("work", work, stop)
    periodic.start()
    until(lambda: len(calls) == 3)
    stop.set()
    periodic.join(10)
    assert len(calls) == 3


def test_work_ends_at_once_though_told_so_between_its_two_looks() -> None:
    looked = threading.Event()

    class Late(threading.Event):
        """Who looks at it goes on when he has been called, which is at the end."""

        def wait(self, timeout: float | None = None) -> bool:
            answer = super().wait(timeout)
            looked.set()
            until(periodic._called.is_set)
            return answer

    stop = Late()
    periodic = Periodic("work", lambda: 3600.0, stop)
    periodic.start()
    assert looked.wait(20)
    stop.set()
    periodic.join(20)
    assert not periodic._thread.is_alive()
