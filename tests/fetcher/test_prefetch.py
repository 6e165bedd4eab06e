"""What is fetched ahead of clients, and what is not."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from common.messages import FetchBlob, FetchManifest, FillDropped, Kind, Prefetch, Queue
from common.reference import RepositoryName
from common.source import Source
from fetcher.prefetch import MOST, Room, listed
from tests.fetcher.workbench import Workbench, fetch, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import Header, HoldBody, Status

APP = RepositoryName("team/app")
SOURCE = Source("", APP)
CONFIG, FIRST, SECOND = b"{}{}", b"first layer", b"second layer"


def descriptor(content: bytes, **more: object) -> dict[str, Any]:
    return {"mediaType": "any", "digest": Digest.of(content), "size": len(content), **more}


def manifest(*layers: object, media_type: str = OCI_MANIFEST, config: object = None) -> bytes:
    described = {"mediaType": media_type, "config": config or descriptor(CONFIG), "layers": layers}
    return json.dumps({"schemaVersion": 2, **described}).encode()


IMAGE = manifest(descriptor(FIRST), descriptor(SECOND))


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Iterator[Workbench]:
    for content in (CONFIG, FIRST, SECOND):
        upstream.add_blob(APP, content)
    with workbench(tmp_path, attempts=1, default=upstream.url) as ready:
        yield ready


def have(bench: Workbench, upstream: Upstream, content: bytes = IMAGE) -> Prefetch:
    """Have the manifest here; the job that is about it."""
    digest = upstream.add_manifest(APP, None, content, OCI_MANIFEST)
    bench.handle(FetchManifest(source=SOURCE, digest=digest))
    bench.recorder.events.clear()
    bench.recorder.published.clear()
    return Prefetch(source=SOURCE, digest=digest, request_id="r1")


def fetched_ahead(bench: Workbench) -> list[FetchBlob]:
    return [
        job
        for queue, job, _ in bench.recorder.published
        if queue is Queue.PREFETCH and isinstance(job, FetchBlob)
    ]


def blobs(*contents: bytes) -> list[FetchBlob]:
    return [
        FetchBlob(source=SOURCE, digest=Digest.of(content), request_id="r1") for content in contents
    ]


def test_configuration_and_layers_are_fetched_ahead_in_their_order(
    bench: Workbench, upstream: Upstream
) -> None:
    job = have(bench, upstream)

    assert bench.handle(job, queue=Queue.PREFETCH).settled == ["ack"]

    assert fetched_ahead(bench) == blobs(CONFIG, FIRST, SECOND)


def test_what_the_repository_has_already_is_not(bench: Workbench, upstream: Upstream) -> None:
    job = have(bench, upstream)
    bench.handle(fetch(APP, Digest.of(FIRST)))

    bench.handle(job, queue=Queue.PREFETCH)

    assert fetched_ahead(bench) == blobs(CONFIG, SECOND)


def test_nothing_is_for_a_manifest_that_the_repository_does_not_have(
    bench: Workbench, upstream: Upstream
) -> None:
    job = have(bench, upstream)
    other = Source("", RepositoryName("team/other"))

    bench.handle(Prefetch(source=other, digest=job.digest), queue=Queue.PREFETCH)
    bench.storage.links.remove(Kind.MANIFEST, APP, job.digest)
    bench.handle(job, queue=Queue.PREFETCH)

    assert fetched_ahead(bench) == []


def test_a_blob_of_another_repository_is_linked_only_when_the_upstream_says_so(
    bench: Workbench, upstream: Upstream
) -> None:
    other = RepositoryName("team/other")
    secret = upstream.add_blob(other, b"not of this repository")
    bench.handle(fetch(other, secret))
    bench.recorder.events.clear()

    bench.handle(fetch(APP, secret), queue=Queue.PREFETCH)

    assert not bench.storage.has(Kind.LAYER, APP, secret)
    assert bench.recorder.of(FillDropped) == [
        FillDropped(key=fetch(APP, secret).key, digest=secret)
    ]


@pytest.mark.parametrize(
    "told",
    [
        {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "20;w=21600"},
        {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"},
    ],
    ids=["little", "nothing"],
)
def test_nothing_is_while_little_is_left_of_what_the_upstream_allows(
    bench: Workbench, upstream: Upstream, told: dict[str, str]
) -> None:
    for name, value in told.items():
        upstream.fail("*", Header(name, value))
    job = have(bench, upstream)

    assert bench.handle(job, queue=Queue.PREFETCH).settled == ["ack"]
    assert fetched_ahead(bench) == []


def test_nothing_is_while_the_upstream_wants_a_rest(bench: Workbench, upstream: Upstream) -> None:
    job = have(bench, upstream)
    upstream.fail("*", Status(429, retry_after="60"))
    bench.handle(fetch(APP, Digest.of(FIRST)))
    upstream.forget()

    bench.handle(job, queue=Queue.PREFETCH)
    bench.handle(fetch(APP, Digest.of(SECOND)), queue=Queue.PREFETCH)

    assert fetched_ahead(bench) == []
    assert upstream.seen() == []


def test_half_the_connections_are_left_to_those_who_wait(
    tmp_path: Path, upstream: Upstream
) -> None:
    for content in (FIRST, SECOND):
        upstream.add_blob(APP, content)
    hold = HoldBody()
    upstream.fail(f"*/blobs/{Digest.of(FIRST)}", hold)
    with workbench(tmp_path, attempts=1, max_connections=2, default=upstream.url) as bench:
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(bench.handle, fetch(APP, Digest.of(FIRST)), queue=Queue.PREFETCH)
            assert hold.reached.wait(10)
            bench.handle(fetch(APP, Digest.of(SECOND)), queue=Queue.PREFETCH)
            assert bench.data(Digest.of(SECOND)) is None
            bench.handle(fetch(APP, Digest.of(SECOND)))
            assert bench.data(Digest.of(SECOND)) == SECOND
            hold.release()
            assert ahead.result(10).settled == ["ack"]
        assert bench.data(Digest.of(FIRST)) == FIRST


def test_nothing_is_when_there_is_no_room_for_all_of_it(tmp_path: Path, upstream: Upstream) -> None:
    size = len(CONFIG + FIRST + SECOND)
    for maxsize, count in ((10 * size, 3), (10 * size - 1, 0)):
        room = Room(str(tmp_path), maxsize=maxsize)
        with workbench(tmp_path / str(count), room=room, default=upstream.url) as bench:
            bench.handle(have(bench, upstream), queue=Queue.PREFETCH)
            assert len(fetched_ahead(bench)) == count


def test_what_is_to_stay_free_counts_as_taken(tmp_path: Path) -> None:
    assert Room(str(tmp_path)).holds(1)
    assert not Room(str(tmp_path), minfree=2**62).holds(1)
    assert not Room(str(tmp_path)).holds(2**62)


def test_nothing_is_when_it_is_switched_off(tmp_path: Path, upstream: Upstream) -> None:
    with workbench(tmp_path, prefetch=False, default=upstream.url) as bench:
        bench.handle(have(bench, upstream), queue=Queue.PREFETCH)
        assert fetched_ahead(bench) == []


def test_an_image_lists_its_configuration_and_layers_each_once() -> None:
    twice = manifest(descriptor(FIRST), descriptor(FIRST), media_type=DOCKER_MANIFEST)

    assert [blob.digest for blob in listed(twice)] == [Digest.of(CONFIG), Digest.of(FIRST)]


def test_an_image_lists_no_more_than_so_many() -> None:
    many = [descriptor(str(number).encode()) for number in range(2 * MOST)]

    assert len(listed(manifest(*many))) == MOST


@pytest.mark.parametrize(
    "layer",
    [
        descriptor(FIRST, urls=["https://elsewhere.example/layer"]),
        descriptor(FIRST, mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        descriptor(FIRST, mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        descriptor(FIRST, digest="sha256:../../etc/passwd"),
        descriptor(FIRST, size=-1),
        descriptor(FIRST, size="many"),
        descriptor(FIRST, size=True),
        "no descriptor",
        None,
    ],
)
def test_what_is_foreign_or_malformed_is_left_out(layer: object) -> None:
    found = listed(manifest(layer, descriptor(SECOND)))

    assert [blob.digest for blob in found] == [Digest.of(CONFIG), Digest.of(SECOND)]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"no JSON",
        b'{"mediaType": "%s", "layers": 7}' % OCI_MANIFEST.encode(),
        manifest(descriptor(FIRST), media_type=OCI_INDEX),
        manifest(descriptor(FIRST), media_type="application/vnd.other+json"),
    ],
)
def test_anything_but_an_image_lists_nothing(document: bytes) -> None:
    assert listed(document) == []
