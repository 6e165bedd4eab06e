"""One download for the whole fleet, whatever happens to whoever does it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.digest import Digest
from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

MEGABYTE = 1_000_000
# What is under way is lost with its fetcher, and sent again: no more than a few of these.
SMALL_PARTS = {"segmentsize": 1 << 19}


@pytest.fixture
def cache(tmp_path: Path, upstream: Upstream, queue_url: str | None) -> Iterator[Cluster]:
    with cluster(tmp_path / "cache", upstream.url, queue_url) as running:
        yield running


def random_blob(upstream: Upstream, repository: str, size: int) -> Digest:
    content = bytes(bytearray(range(251)) * (size // 251 + 1))[:size]
    return Digest(upstream.add_blob(repository, content))


def test_24_clients_cost_one_download(
    cache: Cluster, upstream: Upstream, record_property: Callable[[str, object], None]
) -> None:
    digest = random_blob(upstream, "library/app", 60 * MEGABYTE)
    upstream.fail("*/blobs/*", Throttle(40 * MEGABYTE))
    answers = cache.crowd(24, "library/app", digest)
    assert {(got.status, got.digest, got.cut) for got in answers} == {(200, digest, False)}
    sent = upstream.sent(f"*/blobs/{digest}")
    record_property("upstream_bytes_over_blob", sent / (60 * MEGABYTE))
    assert sent == 60 * MEGABYTE


def test_a_killed_fetcher_costs_nobody_their_pull(
    tmp_path: Path,
    upstream: Upstream,
    queue_url: str | None,
    record_property: Callable[[str, object], None],
) -> None:
    digest = random_blob(upstream, "library/app", 30 * MEGABYTE)
    upstream.fail("*/blobs/*", Throttle(6 * MEGABYTE))
    with (
        cluster(tmp_path / "cache", upstream.url, queue_url, fetcher=SMALL_PARTS) as cache,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = [pool.submit(cache.blob, "library/app", digest) for _ in range(8)]
        holder = cache.holder(digest)
        until(lambda: upstream.sent(f"*/blobs/{digest}") > 8 * MEGABYTE, 20, "8 MB")
        holder.kill()
        results = [answer.result(60) for answer in answers]
        assert {(got.status, got.digest, got.cut) for got in results} == {(200, digest, False)}
        ratio = upstream.sent(f"*/blobs/{digest}") / (30 * MEGABYTE)
        record_property("upstream_bytes_over_blob", ratio)
        assert ratio < 1.3
        assert cache.blob("library/app", digest).digest == digest


def test_a_shared_layer_is_downloaded_once_and_not_given_to_strangers(
    cache: Cluster, upstream: Upstream
) -> None:
    digest = random_blob(upstream, "library/one", 3 * MEGABYTE)
    random_blob(upstream, "library/two", 3 * MEGABYTE)
    upstream.add_blob("library/three", b"something else")
    assert cache.blob("library/one", digest).digest == digest
    assert cache.blob("library/two", digest).digest == digest
    assert upstream.sent(f"*/blobs/{digest}") == 3 * MEGABYTE
    assert cache.blob("library/three", digest).status == 404
    assert b"BLOB_UNKNOWN" in cache.blob("library/three", digest).body


def test_two_repositories_at_once_share_one_download(cache: Cluster, upstream: Upstream) -> None:
    digest = random_blob(upstream, "library/one", 12 * MEGABYTE)
    random_blob(upstream, "library/two", 12 * MEGABYTE)
    upstream.fail("*/blobs/*", Throttle(6 * MEGABYTE))
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda name: cache.blob(name, digest), ["library/one", "library/two"])
        )
    assert {(got.status, got.digest) for got in answers} == {(200, digest)}
    assert upstream.sent(f"*/blobs/{digest}") == 12 * MEGABYTE
