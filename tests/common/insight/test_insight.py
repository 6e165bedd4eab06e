"""What is told of a storage folder: what is cached, what is under way, who is alive."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.claims import Claims
from common.digest import Digest
from common.fills import Epoch, Fill
from common.insight.catalog import Catalog
from common.insight.fills import fills
from common.insight.manifests import described
from common.insight.processes import Presence, processes
from common.insight.upstreams import upstreams
from common.insight.usage import usage
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName
from common.repositories import repositories
from tests.common.insight.store import Store, image, index
from tests.waiting import until

APP = RepositoryName("library/app")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


def test_repositories_are_told_with_their_numbers(store: Store) -> None:
    store.add_image("library/app", "1", [b"a" * 1000, b"b" * 500])
    store.add_image("library/other", "1", [b"a" * 1000])
    catalog = Catalog(store.layout)
    assert list(catalog.names()) == ["library/app", "library/other"]
    assert list(catalog.names(matching="oth")) == ["library/other"]
    assert list(catalog.names(after="library/app")) == ["library/other"]
    facts = catalog.repository(APP)
    assert (facts.tags, facts.manifests, facts.is_partial) == (1, 1, False)
    assert 1500 < facts.size < 3000
    assert facts.used is not None
    assert abs(facts.used - time.time()) < 60


def test_a_repository_of_very_many_links_is_told_in_part(store: Store) -> None:
    store.add_image("library/app", "1", [bytes([number]) for number in range(9)])
    facts = Catalog(store.layout).repository(APP, most=5)
    assert facts.is_partial
    assert list(repositories(store.layout)) == [APP]


def test_tags_are_told_in_order_by_the_page(store: Store) -> None:
    for tag in ("c", "a", "b"):
        store.add_image("library/app", tag, [tag.encode() * 100])
    catalog = Catalog(store.layout)
    assert [each.tag for each in catalog.tags(APP, limit=2)] == ["a", "b"]
    (last,) = catalog.tags(APP, after="b")
    assert last.tag == "c"
    assert last.manifest.is_here
    assert last.manifest.size > 100


def test_an_index_is_as_large_as_its_images_that_are_here(store: Store) -> None:
    here = store.add_image("library/app", None, [b"x" * 4000])
    elsewhere = Digest.of(b"an image that nobody asked for")
    body = index({"linux/amd64": here, "linux/arm64/v8": elsewhere})
    store.add_manifest("library/app", "1", body)
    (tag,) = Catalog(store.layout).tags(APP)
    assert tag.manifest.platforms == ("linux/amd64",)
    assert 4000 < tag.manifest.size < 6000


def test_what_is_no_manifest_says_nothing() -> None:
    for body in (b"", b"[]", b'{"layers": 1, "manifests": [1, {}]}', b"\xff", b"[" * 100_000):
        said = described(body)
        assert (said.parts, said.children) == ((), ())


def test_what_is_to_be_had_from_elsewhere_is_no_part() -> None:
    foreign = {"digest": Digest.of(b"x"), "size": 1, "urls": ["https://elsewhere.example/x"]}
    assert described(json.dumps({"layers": [foreign]}).encode()).parts == ()


def test_usage_counts_blobs_or_estimates_them_when_there_is_no_time(store: Store) -> None:
    for number in range(600):
        store.add_blob(f"{number}".encode() * 10)
    exact = usage(store.layout, seconds=60)
    assert (exact.blobs, exact.is_estimate) == (600, False)
    assert exact.free > 0
    guessed = usage(store.layout, seconds=0)
    assert guessed.is_estimate
    assert guessed.blobs > 0


def test_fills_are_told_with_what_has_arrived(store: Store) -> None:
    digest = Digest.of(b"coming")
    claims = Claims(store.layout, 60.0)
    fill = Fill(store.layout, digest)
    claim = claims.acquire(fill.folder)
    assert claim is not None
    epoch = Epoch(1, 1)
    Path(fill.spool(epoch)).write_bytes(b"x" * 40)
    fill.start(epoch, 100)
    fill.admit(APP)
    (told,) = fills(store.layout, claims)
    assert (told.received, told.size, told.repositories, told.is_held) == (40, 100, (APP,), True)
    claim.release()
    (told,) = fills(store.layout, claims)
    assert not told.is_held
    claims.close()


def test_an_upstream_rests_until_the_moment_that_is_written(store: Store) -> None:
    path = Path(store.layout.upstream("ghcr.io"))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"until": time.time() + 1000}))
    Path(store.layout.upstream("")).write_text("{")
    default, github = upstreams(store.layout, ["", "ghcr.io"])
    assert default.rests == 0
    assert 900 < github.rests <= 1000


def test_a_process_is_present_from_its_beginning_to_its_end(store: Store) -> None:
    presence = Presence(store.layout, "fetcher")
    assert processes(store.layout) == []
    presence.begin()
    until(lambda: processes(store.layout))
    (told,) = processes(store.layout)
    assert (told.role, told.pid, told.is_alive) == ("fetcher", os.getpid(), True)
    presence.end()
    until(lambda: processes(store.layout) == [])


def test_one_that_was_killed_is_known_to_be_dead_at_once(store: Store) -> None:
    program = (
        "import signal, sys; from common.insight.processes import Presence;"
        "from common.paths import Layout;"
        "Presence(Layout(sys.argv[1]), 'janitor').begin(); signal.pause()"
    )
    argv = [".venv/bin/python", "-c", program, store.layout.root]
    with subprocess.Popen(argv) as process:
        until(lambda: processes(store.layout), 20)
        assert processes(store.layout)[0].is_alive
        process.kill()
    (told,) = processes(store.layout)
    assert not told.is_alive


def test_whoever_is_seen_is_seen_whole(store: Store) -> None:
    os.makedirs(store.layout.processes)
    for _ in range(100):
        presence = Presence(store.layout, "fetcher")
        presence.begin()
        while not os.listdir(store.layout.processes):
            pass
        assert len(processes(store.layout)) == 1
        presence.end()


def test_one_that_has_been_silent_for_long_counts_as_dead_and_is_forgotten(store: Store) -> None:
    folder = Path(store.layout.processes)
    folder.mkdir(parents=True)
    elsewhere = folder / "fetcher.elsewhere"
    elsewhere.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": 0.0}))
    assert processes(store.layout)[0].is_alive
    then = time.time() - 100
    os.utime(elsewhere, (then, then))
    assert not processes(store.layout)[0].is_alive
    then = time.time() - 10_000
    os.utime(elsewhere, (then, then))
    presence = Presence(store.layout, "janitor")
    presence.begin()
    until(lambda: [each.role for each in processes(store.layout)] == ["janitor"])
    presence.end()


def test_looking_marks_no_use(store: Store) -> None:
    digest = store.add_image("library/app", "1", [b"x"])
    link = store.layout.link(Kind.MANIFEST, APP, digest)
    os.utime(link, (1000, 1000))
    catalog = Catalog(store.layout)
    catalog.repository(APP)
    catalog.tags(APP)
    assert Links(store.layout).last_use(Kind.MANIFEST, APP, digest) == 1000
    assert FileBlobStore(Layout(store.layout.root)).size(digest) == len(image([b"x"]))
