"""A ledger is worth what its judges notice: each of them is shown something wrong."""

import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName
from tests.chaos.audit import BOUND, Storage
from tests.chaos.disturbances import BROKER, FRONTEND, UPSTREAM, Disturbances
from tests.chaos.fleet import UP, Member
from tests.chaos.goods import ABSENT, Goods
from tests.chaos.plan import Plan, short
from tests.chaos.shoppers import Receipts, Refused, Shopper
from tests.chaos.vitals import _look
from tests.parts.counting import Upstream
from tests.parts.faults import Corrupt, Cut, Fault, Header, Status
from tests.waiting import until

APP = RepositoryName("library/app")
CONTENT = b"what the upstream has"
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


def put(path: str, content: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def test_a_damaged_blob_and_a_link_without_data_are_found(layout: Layout, tmp_path: Path) -> None:
    put(layout.blob(DIGEST), CONTENT)
    put(layout.link(Kind.LAYER, APP, DIGEST), DIGEST.encode())
    sound = Storage(tmp_path).look()
    assert (sound.blobs, sound.links, sound.damaged, sound.dangling) == (1, 1, [], [])
    put(layout.blob(DIGEST), CONTENT[:-1])
    assert Storage(tmp_path).look().damaged == [layout.blob(DIGEST)]
    os.unlink(layout.blob(DIGEST))
    assert Storage(tmp_path).look().dangling == [layout.link(Kind.LAYER, APP, DIGEST)]


def test_what_is_evicted_during_the_look_is_not_amiss(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, link = layout.blob(DIGEST), layout.link(Kind.LAYER, APP, DIGEST)
    put(blob, CONTENT)
    put(link, DIGEST.encode())

    def evict() -> None:
        for path in (link, blob):
            Path(path).unlink(missing_ok=True)

    def before(which: str) -> None:
        """Evict when the look has found the file and is about to `which` it."""
        method = getattr(Path, which)

        def late(path: Path) -> object:
            evict()
            return method(path)

        monkeypatch.setattr(Path, which, late)

    before("exists")
    gone = Storage(tmp_path).look()
    assert (gone.blobs, gone.links, gone.dangling) == (1, 1, [])
    put(blob, CONTENT)
    before("read_bytes")
    assert Storage(tmp_path).look().blobs == 0


def test_what_the_dead_left_behind_is_found_and_grows_old(layout: Layout, tmp_path: Path) -> None:
    spool = f"{layout.fill(DIGEST)}/spool.1.1"
    put(spool, CONTENT)
    storage = Storage(tmp_path)
    assert (storage.leftovers(), storage.overdue()) == ([spool], [])
    assert storage.age(BOUND + 1) == 1
    assert storage.overdue() == [spool]
    assert storage.remains() == {"fills": 1}


def test_a_folder_that_was_left_empty_is_found_when_it_is_old(
    layout: Layout, tmp_path: Path
) -> None:
    empty = Path(layout.blob(DIGEST)).parent
    empty.mkdir(parents=True)
    storage = Storage(tmp_path)
    assert (storage.leftovers(), storage.overdue()) == ([], [])
    assert storage.age(BOUND + 1) == 0
    assert storage.overdue() == [str(empty)]


def test_a_frontend_is_back_when_it_answers_not_when_it_merely_listens(tmp_path: Path) -> None:
    member = Member("frontend", 1, tmp_path / "config.yml", Disturbances())
    member.state = UP
    host, _, port = member.host.partition(":")
    with socket.create_server((host, int(port))) as listener:
        assert not member.answers()
        listener.accept()[0].close()
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(member.answers)
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert answers.result(10)


def test_a_process_that_has_ended_and_is_not_waited_for_needs_no_memory(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        until(lambda: "State:\tZ" in Path(f"/proc/{ended.pid}/status").read_text())
        assert _look([ended.pid]).rss == 0


PATH = "/v2/library/app/blobs/sha256:1"
OTHER = "/v2/library/app/blobs/sha256:2"


@pytest.mark.parametrize(
    ("kind", "target", "served_by", "bodiless", "permitted"),
    [
        (UPSTREAM, PATH, "frontend1", True, True),
        (UPSTREAM, OTHER, "frontend1", True, False),
        (UPSTREAM, "", "frontend1", True, True),
        (UPSTREAM, PATH, None, True, False),
        (BROKER, "", "frontend1", True, True),
        (FRONTEND, "frontend1", None, True, True),
        (FRONTEND, "frontend1", "frontend1", True, False),
        (FRONTEND, "frontend1", "frontend1", False, True),
        (FRONTEND, "frontend2", "frontend1", False, False),
    ],
    ids=[
        "the upstream failed for this blob",
        "the upstream failed for another blob",
        "the upstream was gone",
        "the upstream failed, yet no frontend answered",
        "the broker was away",
        "a frontend was killed and the load balancer answered",
        "a frontend that was killed does not say 503 itself",
        "a frontend was killed and its answer cut",
        "another frontend was killed",
    ],
)
def test_a_failure_is_put_down_only_to_what_can_have_caused_it(
    kind: str, target: str, served_by: str | None, bodiless: bool, permitted: bool
) -> None:
    disturbances = Disturbances()
    disturbances.begin(kind, target, after=0.0)
    now = time.monotonic()
    cause = disturbances.cause(PATH, now, now, served_by, bodiless=bodiless)
    assert (cause is not None) == permitted


def test_what_was_over_before_a_request_began_explains_nothing() -> None:
    disturbances = Disturbances()
    disturbances.finish(disturbances.begin(BROKER, "", after=5.0))
    now = time.monotonic()
    assert disturbances.cause(PATH, now, now, "frontend1", bodiless=True) == BROKER
    assert disturbances.cause(PATH, now + 6, now + 6, "frontend1", bodiless=True) is None


def small_plan() -> Plan:
    return replace(short("embedded", 1), repositories=2, images=1, layers=5, largest=60_000)


@pytest.mark.parametrize(
    ("pattern", "fault", "noticed"),
    [
        ("*/manifests/v0", Corrupt(at=20), "wrong"),
        ("*/blobs/*", Corrupt(at=20), "wrong"),
        ("*/blobs/*", Cut(after=20), "cut"),
        ("*/manifests/v0", Header("Docker-Content-Digest", DIGEST), "wrong"),
        ("*/blobs/*", Status(500), "wrong"),
        ("*/blobs/*", Status(404), "wrong"),
        ("*/blobs/*", Status(503), "refused"),
    ],
)
def test_a_shopper_notices(pattern: str, fault: Fault, noticed: str, tmp_path: Path) -> None:
    goods = Goods(small_plan(), tmp_path)
    receipts = Receipts(Disturbances())
    with Upstream(content=goods.content) as registry:
        port = int(registry.host.rpartition(":")[2])
        shopper = Shopper(goods, port, receipts, 1)
        shopper.pull(goods.repositories[0], "v0", whole=True)
        assert receipts.failures == []
        registry.fail(pattern, fault)
        with pytest.raises(Refused):
            shopper.pull(goods.repositories[0], "v0", whole=True)
        shopper.leave()
    assert [each.what for each in receipts.unexplained()] == [noticed]


def test_a_shopper_notices_what_should_not_be_there(tmp_path: Path) -> None:
    goods = Goods(small_plan(), tmp_path)
    receipts = Receipts(Disturbances())
    repository = goods.repositories[0]
    for blob in goods.foreign(repository):
        goods.content.add_blob(repository, goods.bytes[Digest(blob)])
    strange = goods.images[goods.repositories[1]][0]
    raw = goods.bytes[strange.digest]
    goods.content.add_manifest(repository, ABSENT, raw, "application/json")
    assert goods.foreign(repository) == []
    with Upstream(content=goods.content) as registry:
        shopper = Shopper(goods, int(registry.host.rpartition(":")[2]), receipts, 1)
        with pytest.raises(Refused):
            shopper._ask_for_what_is_not_there(repository)
        shopper.leave()
    assert [each.what for each in receipts.wrong] == ["wrong"]
