"""Images fetched ahead of their clients, by whole processes and both queues."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.fills import Fill
from common.links import Links
from common.messages import Kind
from common.reference import RepositoryName
from tests.parts.counting import Upstream
from tests.parts.faults import HoldBody, Status
from tests.parts.images import CONFIG, INDEX, LAYER, MANIFEST
from tests.parts.ranged import Busiest, starts
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

APP = RepositoryName("library/app")


@dataclass(frozen=True)
class Image:
    """An image at the upstream: its manifest and what that lists, the configuration first."""

    manifest: Digest
    blobs: list[Digest]


def add_image(upstream: Upstream, tag: str | None, name: str, layers: int = 6) -> Image:
    return add_image_of(
        upstream, tag, [f"{name} {number}".encode() * 1000 for number in range(layers + 1)]
    )


def add_image_of(upstream: Upstream, tag: str | None, contents: list[bytes]) -> Image:
    """An image of this configuration and these layers."""
    config, *others = [
        {"mediaType": LAYER, "digest": upstream.add_blob(APP, content), "size": len(content)}
        for content in contents
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {**config, "mediaType": CONFIG},
        "layers": others,
    }
    manifest = upstream.add_manifest(APP, tag, json.dumps(document).encode(), MANIFEST)
    return Image(manifest, [Digest.of(content) for content in contents])


@pytest.fixture
def cache(tmp_path: Path, upstream: Upstream, queue_url: str | None) -> Iterator[Cluster]:
    # Longer than any test holds a body back.
    patient = {"readtimeout": "60s"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, fetcher=patient) as running:
        yield running


def is_here(cache: Cluster, digest: Digest) -> bool:
    """Whether the blob is in storage, and the repository's."""
    links, blobs = Links(cache.layout), FileBlobStore(cache.layout)
    return links.has(Kind.LAYER, APP, digest) and blobs.size(digest) is not None


def until_here(cache: Cluster, digests: list[Digest]) -> None:
    until(lambda: all(is_here(cache, digest) for digest in digests), 30, "the blobs")


def manifest_path(reference: str) -> str:
    return f"/v2/{APP}/manifests/{reference}"


def asked_for(upstream: Upstream) -> list[str]:
    """The blobs that the upstream was asked for, in order."""
    return [seen.path.rpartition("/")[2] for seen in upstream.seen("*/blobs/*", "GET")]


def test_a_client_that_gets_a_manifest_finds_its_blobs_on_their_way(
    cache: Cluster, upstream: Upstream
) -> None:
    image = add_image(upstream, "1", "image")
    assert cache.get(manifest_path("1")).status == 200
    until_here(cache, image.blobs)
    upstream.stop()
    for digest in image.blobs:
        assert cache.blob(APP, digest).digest == digest
    upstream.start()
    # Each once, whoever asked.
    assert sorted(asked_for(upstream)) == sorted(image.blobs)


def test_a_client_that_asks_for_what_is_being_fetched_ahead_shares_the_download(
    cache: Cluster, upstream: Upstream
) -> None:
    image = add_image(upstream, "1", "image")
    hold = HoldBody(after=10)
    upstream.fail("*/blobs/*", hold)
    assert cache.get(manifest_path("1")).status == 200
    assert hold.reached.wait(20)
    with ThreadPoolExecutor(len(image.blobs)) as pool:
        answers = [pool.submit(cache.blob, APP, digest) for digest in image.blobs]
        # All of them, though prefetches have but half of the slots.
        until(lambda: len(set(asked_for(upstream))) == len(image.blobs), 20, "all downloads")
        hold.release()
        assert [answer.result(60).digest for answer in answers] == image.blobs
    until_here(cache, image.blobs)
    assert sorted(asked_for(upstream)) == sorted(image.blobs)


def test_a_large_layer_fetched_ahead_comes_by_many_connections_once_its_client_is_there(
    cache: Cluster, upstream: Upstream, record_property: Callable[[str, object], None]
) -> None:
    rate, size = 4_000_000, 20_000_000
    busy = Busiest(rate)
    image = add_image_of(upstream, "1", [b"{}", random.Random(8).randbytes(size)])
    config, layer = image.blobs
    upstream.fail(f"*/blobs/{layer}", busy)
    # As docker does.
    assert cache.get(manifest_path("1")).status == 200
    assert cache.blob(APP, config).digest == config
    fill = Fill(cache.layout, layer)
    until(lambda: fill.started() is not None, 20, "the layer to be on its way")
    assert fill.is_ahead()
    assert busy.most <= 1
    begun = time.monotonic()
    assert cache.blob(APP, layer).digest == layer
    record_property("seconds", round(time.monotonic() - begun, 2))
    assert busy.most >= 4
    parts = starts(upstream.seen(f"*/blobs/{layer}", "GET"))
    assert len(set(parts)) == len(parts)
    until(lambda: upstream.sent(f"*/blobs/{layer}") == size, what="each byte sent once")


def test_of_an_index_only_the_image_is_fetched_ahead_that_is_asked_for(
    cache: Cluster, upstream: Upstream
) -> None:
    wanted, other = add_image(upstream, None, "amd64"), add_image(upstream, None, "arm64")
    entries = [
        {"mediaType": MANIFEST, "digest": image.manifest, "size": 1} for image in (wanted, other)
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    upstream.add_manifest(APP, "1", json.dumps(index).encode(), INDEX)
    assert cache.get(manifest_path("1"), headers={"Accept": f"{INDEX}, {MANIFEST}"}).status == 200
    assert cache.get(manifest_path(wanted.manifest)).status == 200
    until_here(cache, wanted.blobs)
    assert sorted(asked_for(upstream)) == sorted(wanted.blobs)


def test_who_only_looks_causes_no_download_and_who_then_pulls_has_it_fetched_ahead(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    # One worker: it remembers what was looked at.
    image, other = add_image(upstream, "1", "image"), add_image(upstream, "2", "other")
    with cluster(tmp_path / "cache", upstream.url, queue_url, frontend={"workers": 1}) as cache:
        assert cache.get(manifest_path("1"), "HEAD").status == 200
        # Whatever the first had caused would be done before this is.
        assert cache.get(manifest_path("2")).status == 200
        until_here(cache, other.blobs)
        assert sorted(asked_for(upstream)) == sorted(other.blobs)
        upstream.forget()
        assert cache.get(manifest_path(image.manifest)).status == 200
        assert cache.blob(APP, image.blobs[0]).digest == image.blobs[0]
        until_here(cache, image.blobs)
        assert sorted(asked_for(upstream)) == sorted(image.blobs)


def test_a_prefetch_that_failed_is_no_answer_to_a_client(
    cache: Cluster, upstream: Upstream
) -> None:
    image = add_image(upstream, "1", "image")
    upstream.fail("*/blobs/*", Status(404))
    assert cache.get(manifest_path("1")).status == 200
    until(lambda: set(asked_for(upstream)) == set(image.blobs), 20, "the prefetches")
    upstream.heal()
    for digest in image.blobs:
        assert cache.blob(APP, digest).digest == digest


def test_it_can_be_switched_off(tmp_path: Path, upstream: Upstream, queue_url: str | None) -> None:
    image = add_image(upstream, "1", "image")
    off = {"prefetch": False}
    with cluster(tmp_path / "cache", upstream.url, queue_url, fetcher=off) as cache:
        assert cache.get(manifest_path("1")).status == 200
        assert cache.blob(APP, image.blobs[-1]).digest == image.blobs[-1]
        assert asked_for(upstream) == [image.blobs[-1]]
