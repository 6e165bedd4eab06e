"""Full and dying disks: hits go on, misses are refused in plain words, and it mends by itself."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from tests.parts.counting import Upstream
from tests.parts.disk import Disk, disk_at
from tests.parts.faults import HoldBody
from tests.system.cluster import Cluster, Got, cluster
from tests.waiting import until

MEGABYTE = 1_000_000
APP = "library/app"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """What the cluster at `tmp_path/cache` has as its storage."""
    with disk_at(tmp_path / "cache" / "root") as mounted:
        yield mounted


def blob_of(upstream: Upstream, size: int) -> Digest:
    return upstream.add_blob(APP, os.urandom(size))


def assert_right(got: Got, digest: Digest) -> None:
    assert (got.status, got.digest, got.cut) == (200, digest, False), got


def assert_refused(got: Got) -> None:
    """503 in the specification's words, and when to come again."""
    assert got.status == 503, got
    (error,) = json.loads(got.body)["errors"]
    assert error["code"] == "UNAVAILABLE"
    assert int(got.headers["retry-after"]) >= 1


def is_served(cache: Cluster, digest: Digest) -> bool:
    return cache.blob(APP, digest).digest == digest


def leftovers(cache: Cluster) -> list[str]:
    """The files of fills, of claims and on their way, but the clocks of those who run."""
    layout = cache.layout
    return [
        f"{parent}/{name}"
        for top in (layout.fills, layout.claims, layout.temporary)
        for parent, _folders, names in os.walk(top)
        for name in names
        if not name.startswith("clock.")
    ]


def test_what_does_not_fit_is_refused_before_a_byte_and_leaves_nothing(
    tmp_path: Path, upstream: Upstream, disk: Disk, queue_url: str | None
) -> None:
    with cluster(tmp_path / "cache", upstream.url, queue_url) as cache:
        here, large, small = (blob_of(upstream, size * MEGABYTE) for size in (1, 8, 2))
        assert_right(cache.blob(APP, here), here)
        disk.fill(leaving=4 * MEGABYTE)

        refused = cache.blob(APP, large)

        assert_refused(refused)
        assert b"No space left on device" in refused.body
        assert_right(cache.blob(APP, here), here)
        assert_right(cache.blob(APP, small), small)
        assert not Path(cache.layout.blob(large)).exists()
        until(lambda: not leftovers(cache), 10, f"nothing to be left, but {leftovers(cache)}")
        disk.clear()
        assert_right(cache.blob(APP, large), large)


def test_on_a_disk_without_a_free_block_hits_go_on_and_it_mends_by_itself(
    tmp_path: Path, upstream: Upstream, disk: Disk, queue_url: str | None
) -> None:
    patience = {"workers": 2, "patience": "3s"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, frontend=patience) as cache:
        here, missing, other = (blob_of(upstream, MEGABYTE) for _ in range(3))
        assert_right(cache.blob(APP, here), here)
        cache.until_committed(here)
        disk.fill()
        for _ in range(3):
            assert_refused(cache.blob(APP, missing))
            assert_right(cache.blob(APP, here), here)
        disk.clear()
        for digest in (other, missing):
            until(partial(is_served, cache, digest), 20, cache.logs())
        until(lambda: not leftovers(cache), 10, f"nothing to be left, but {leftovers(cache)}")


def test_a_download_under_way_keeps_its_room_when_the_disk_fills_up(
    tmp_path: Path, upstream: Upstream, disk: Disk
) -> None:
    digest = blob_of(upstream, 5 * MEGABYTE)
    held = HoldBody(after=MEGABYTE)
    upstream.fail("*/blobs/*", held)
    with (
        cluster(tmp_path / "cache", upstream.url, fetcher={"readtimeout": "60s"}) as cache,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(cache.blob, APP, digest)
        assert held.reached.wait(20)
        disk.fill(leaving=MEGABYTE)
        held.release()
        assert_right(answer.result(60), digest)


def test_a_fill_that_found_no_room_gets_that_of_the_trash(
    tmp_path: Path, upstream: Upstream, disk: Disk, queue_url: str | None
) -> None:
    large, gone = blob_of(upstream, 8 * MEGABYTE), os.urandom(8 * MEGABYTE)
    settings = {"grace": "1h"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, janitor=settings) as cache:
        trash = Path(cache.layout.trash)
        trash.mkdir(parents=True, exist_ok=True)
        condemned = trash / f"{time.time():.3f}.sha256.{Digest.of(gone).hex}"
        condemned.write_bytes(gone)
        disk.fill(leaving=4 * MEGABYTE)
        until(lambda: cache.blob(APP, large).digest == large, 30, cache.logs())
        assert not condemned.exists()


@pytest.fixture
def elsewhere(tmp_path: Path, queue_url: str | None) -> str:
    """A queue that is not on the disk: who has a file open for writing keeps it writable."""
    return queue_url or f"sqlite://{tmp_path}/queue.sqlite"


def put_manifest(upstream: Upstream) -> Digest:
    media_type = "application/vnd.oci.image.manifest.v1+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": []}).encode()
    return upstream.add_manifest(APP, "1", body, media_type)


def test_on_a_read_only_disk_hits_go_on_until_it_is_writable_again(
    tmp_path: Path, upstream: Upstream, disk: Disk, elsewhere: str
) -> None:
    here, missing = blob_of(upstream, MEGABYTE), blob_of(upstream, MEGABYTE)
    manifest = put_manifest(upstream)
    settings: dict[str, Any] = {
        "frontend": {"workers": 2, "patience": "3s"},
        "proxy": {"remoteurl": upstream.url, "tagttl": "0s"},
    }
    with cluster(tmp_path / "cache", upstream.url, elsewhere, **settings) as cache:
        assert_right(cache.blob(APP, here), here)
        cache.until_committed(here)
        assert cache.get(f"/v2/{APP}/manifests/1").digest == manifest
        disk.remount("ro")
        assert_right(cache.blob(APP, here), here)
        assert_refused(cache.blob(APP, missing))
        stale = cache.get(f"/v2/{APP}/manifests/1")
        assert_right(stale, manifest)
        assert "warning" in stale.headers
        disk.remount("rw")
        until(lambda: cache.blob(APP, missing).digest == missing, 20, cache.logs())
        # A refusal is remembered for ten seconds.
        tag = f"/v2/{APP}/manifests/1"
        until(lambda: "warning" not in cache.get(tag).headers, 20, cache.logs())


def test_a_disk_that_fails_and_takes_the_queue_along_still_serves_what_it_has(
    tmp_path: Path, upstream: Upstream, disk: Disk
) -> None:
    here, missing = blob_of(upstream, MEGABYTE), blob_of(upstream, MEGABYTE)
    patience = {"workers": 2, "patience": "3s"}
    with cluster(tmp_path / "cache", upstream.url, frontend=patience) as cache:
        assert_right(cache.blob(APP, here), here)
        cache.until_committed(here)
        os.sync()
        disk.fail()
        for _ in range(2):
            assert_right(cache.blob(APP, here), here)
            assert_refused(cache.blob(APP, missing))
    disk.repair()
    with cluster(tmp_path / "cache", upstream.url, frontend=patience) as cache:
        upstream.forget()
        assert_right(cache.blob(APP, here), here)
        assert upstream.sent(f"*/blobs/{here}") == 0
        assert_right(cache.blob(APP, missing), missing)


def test_a_blob_the_disk_has_lost_is_cut_short_once_and_then_fetched_anew(
    tmp_path: Path, upstream: Upstream, disk: Disk
) -> None:
    with cluster(tmp_path / "cache", upstream.url) as cache:
        digest = blob_of(upstream, MEGABYTE)
        assert_right(cache.blob(APP, digest), digest)
        disk.lose(cache.until_committed(digest))
        lost = cache.blob(APP, digest)
        assert lost.cut or lost.status == 503, lost
        assert_right(cache.blob(APP, digest), digest)
        assert upstream.sent(f"*/blobs/{digest}") == 2 * MEGABYTE
        assert os.listdir(cache.layout.quarantine) == [f"sha256.{digest.hex}"]


def test_a_manifest_the_disk_has_lost_is_fetched_anew_at_once(
    tmp_path: Path, upstream: Upstream, disk: Disk
) -> None:
    manifest = put_manifest(upstream)
    with cluster(tmp_path / "cache", upstream.url) as cache:
        assert_right(cache.get(f"/v2/{APP}/manifests/1"), manifest)
        disk.lose(Path(cache.layout.blob(manifest)))
        assert_right(cache.get(f"/v2/{APP}/manifests/1"), manifest)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_that_lost_its_length_is_never_served(
    tmp_path: Path, upstream: Upstream, queue_url: str | None, method: str
) -> None:
    digest = blob_of(upstream, MEGABYTE)
    with cluster(tmp_path / "cache", upstream.url, queue_url) as cache:
        assert_right(cache.blob(APP, digest), digest)
        os.truncate(cache.until_committed(digest), 1000)
        again = cache.get(f"/v2/{APP}/blobs/{digest}", method)
        assert (again.status, again.headers["content-length"]) == (200, str(MEGABYTE))
        assert_right(cache.blob(APP, digest), digest)
        os.truncate(cache.until_committed(digest), 1000)
        upstream.stop()
        assert cache.get(f"/v2/{APP}/blobs/{digest}", method).status in (502, 503)
        upstream.start()
