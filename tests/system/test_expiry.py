"""Expiry, with everything running: `ttl: 6s`, and what may happen to the events meanwhile."""

import os
import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path

from common.digest import Digest
from common.messages import Kind
from common.reference import RepositoryName
from tests.parts.counting import Upstream
from tests.parts.images import Layout, random_layer
from tests.system.cluster import ROLES, Cluster, cluster
from tests.waiting import until

TTL = 6.0
USED, UNUSED = RepositoryName("library/used"), RepositoryName("library/unused")
SHARED, OWN = random_layer(300_000, 1), random_layer(200_000, 2)


def _images(upstream: Upstream, folder: Path) -> Layout:
    """Two repositories, of which each has the shared layer and one of its own."""
    images = Layout(folder)
    for seed, repository in enumerate((USED, UNUSED)):
        images.add_image(repository, [SHARED, random_layer(100_000, 10 + seed)])
        images.put_into(upstream.content, repository, repository, as_tag="1")
    return images


def _pull(cache: Cluster, images: Layout, repository: RepositoryName) -> None:
    manifest = cache.get(f"/v2/{repository}/manifests/1")
    assert (manifest.status, manifest.digest) == (200, images.tagged(repository))
    for blob in images.blobs_of(manifest.digest):
        got = cache.blob(repository, blob)
        assert (got.status, got.digest, got.cut) == (200, blob, False)


def _leaves(cache: Cluster, repository: RepositoryName) -> bool:
    """Whether nothing of the repository is left on disk."""
    return not (Path(cache.layout.repositories) / repository).exists()


def _blobs(cache: Cluster) -> set[str]:
    # Not by pathlib, which raises when a folder goes meanwhile.
    return {
        os.path.basename(folder)
        for folder, _, names in os.walk(cache.layout.blobs)
        if "data" in names
    }


def _all_of(images: Layout, repository: RepositoryName) -> set[str]:
    manifest = images.tagged(repository)
    return {digest.hex for digest in (manifest, *images.blobs_of(manifest))}


def test_a_shared_layer_stays_for_the_one_who_uses_it_and_goes_with_the_last(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    images = _images(upstream, tmp_path / "images")
    short = {"remoteurl": upstream.url, "ttl": f"{TTL:g}s"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, proxy=short) as cache:
        _pull(cache, images, USED)
        _pull(cache, images, UNUSED)

        def unused_is_gone() -> bool:
            _pull(cache, images, USED)
            return _leaves(cache, UNUSED)

        until(unused_is_gone, 60, "the unused repository to expire")
        # Past its first life by now, and never fetched again.
        assert len(upstream.seen(f"*/blobs/{SHARED.digest}", method="GET")) == 1
        until(lambda: _blobs(cache) == _all_of(images, USED), 20, "what only that one had to go")
        _pull(cache, images, USED)
        until(lambda: _leaves(cache, USED), 60, "the other to expire")
        until(lambda: _blobs(cache) == set(), 20, "all data to go")
        until(lambda: not list(Path(cache.layout.trash).iterdir()), 20, "the trash to be emptied")
        for repository in (USED, UNUSED):
            _pull(cache, images, repository)
        assert len(upstream.seen(f"*/blobs/{SHARED.digest}", method="GET")) == 2


def test_expiry_events_outlive_restarts_of_everything(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    upstream.add_blob(USED, OWN.blob)
    short = {"remoteurl": upstream.url, "ttl": f"{TTL:g}s"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, proxy=short) as cache:
        assert cache.blob(USED, OWN.digest).status == 200
        cache.stop()
        # The sweep at the start finds nothing due, and there is none for a day after it.
        cache.start(*ROLES)
        until(lambda: _leaves(cache, USED), 60, "the link to expire")
        until(lambda: _blobs(cache) == set(), 20, "the data to go")


def test_another_ttl_holds_for_what_is_there(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    upstream.add_blob(USED, OWN.blob)
    with _with_ttl(tmp_path, upstream, queue_url, "0s") as cache:
        assert cache.blob(USED, OWN.digest).status == 200
        until(lambda: "sweep finished" in cache.logs(), 20)
    with _with_ttl(tmp_path, upstream, queue_url, f"{TTL:g}s") as cache:
        assert cache.blob(USED, OWN.digest).status == 200
        until(lambda: _leaves(cache, USED), 60, "the link to expire under the new life")
    # Without a janitor, which would end the link's life if this takes long.
    without = [role for role in ROLES if role != "janitor"]
    with _with_ttl(tmp_path, upstream, queue_url, f"{TTL:g}s", *without) as cache:
        assert cache.blob(USED, OWN.digest).status == 200
    used = time.time()
    with _with_ttl(tmp_path, upstream, queue_url, "1h") as cache:
        # Its event comes when the former life is over, and is put off.
        link = cache.layout.link(Kind.LAYER, USED, OWN.digest)
        until(lambda: time.time() > used + TTL + 2, 30)
        assert Path(link).exists()


def _with_ttl(
    folder: Path, upstream: Upstream, queue_url: str | None, ttl: str, *roles: str
) -> AbstractContextManager[Cluster]:
    return cluster(
        folder / "cache",
        upstream.url,
        queue_url,
        *roles,
        proxy={"remoteurl": upstream.url, "ttl": ttl},
    )


def test_without_the_queue_the_sweep_finds_what_is_due(tmp_path: Path, upstream: Upstream) -> None:
    upstream.add_blob(USED, OWN.blob)
    settings = {
        "proxy": {"remoteurl": upstream.url, "ttl": f"{TTL:g}s"},
        "janitor": {"grace": "1s", "sweepinterval": "1s"},
    }
    with cluster(tmp_path / "cache", upstream.url, None, **settings) as cache:
        assert cache.blob(USED, OWN.digest).status == 200
        cache.stop()
        shutil.rmtree(Path(cache.layout.own, "queue"))
        cache.start(*ROLES)
        until(lambda: _leaves(cache, USED), 60, "the link to be found due")
        until(lambda: _blobs(cache) == set(), 20, "the data to go")
        assert Digest.of(OWN.blob) == cache.blob(USED, OWN.digest).digest
