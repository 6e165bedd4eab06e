"""The days a cache is judged by."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.digest import Digest
from tests.parts.counting import Upstream
from tests.parts.faults import Corrupt, Cut, Fault, HoldBody, Stall, Status
from tests.parts.folders import names_below
from tests.parts.images import Layout, random_layer
from tests.parts.rabbit import Rabbit
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

SIZE = 5_000_000
CONTENT = bytes(bytearray(range(253)) * (SIZE // 253 + 1))[:SIZE]
DIGEST = Digest.of(CONTENT)


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Cut(after=2_000_000), 2),
        (Cut(after=2_000_000, reset=True), 2),
        (Corrupt(at=4_999_000), 1),
        (Stall(after=1_000_000), 1),
        (Status(500), 2),
        (Status(503), 3),
        (Status(429, retry_after="1"), 2),
    ],
    ids=["cut", "reset", "corrupt", "stall", "500", "503x3", "429"],
)
def test_a_fault_that_passes_is_not_noticed(
    tmp_path: Path, upstream: Upstream, fault: Fault, times: int
) -> None:
    upstream.add_blob("library/app", CONTENT)
    upstream.fail("*/blobs/*", fault, times=times)
    settings = {"readtimeout": "2s", "lease": "5s"}
    with cluster(tmp_path / "cache", upstream.url, fetcher=settings) as cache:
        got = cache.blob("library/app", DIGEST)
        assert (got.status, got.digest, got.cut) == (200, DIGEST, False)


@pytest.mark.parametrize(
    "fault",
    [Cut(after=100), Corrupt(at=100), Status(500)],
    ids=["cut", "corrupt", "500"],
)
def test_a_fault_that_lasts_ends_clearly_and_the_next_pull_is_right(
    tmp_path: Path, upstream: Upstream, fault: Fault
) -> None:
    upstream.add_blob("library/app", CONTENT)
    upstream.fail("*/blobs/*", fault)
    settings = {"attempts": 2, "lease": "5s"}
    with cluster(tmp_path / "cache", upstream.url, fetcher=settings) as cache:
        got = cache.blob("library/app", DIGEST)
        assert got.cut or got.status in (502, 503), got
        assert not (got.status == 200 and not got.cut)
        assert not Path(cache.layout.blob(DIGEST)).exists()
        upstream.heal()
        # To the other worker the failure may come after the question, as the answer to it.
        until(lambda: cache.blob("library/app", DIGEST).digest == DIGEST, 10, cache.logs())


def test_an_upstream_that_wants_a_rest_has_it_from_all_fetchers(
    tmp_path: Path, upstream: Upstream
) -> None:
    upstream.add_blob("library/app", CONTENT)
    other = upstream.add_blob("library/app", CONTENT[1:])
    upstream.fail("*/blobs/*", Status(429, retry_after="20"))
    with cluster(tmp_path / "cache", upstream.url) as cache:
        refused = cache.blob("library/app", DIGEST)
        assert refused.status == 503
        assert 10 < int(refused.headers["retry-after"]) <= 20
        upstream.heal()
        for got in cache.crowd(6, "library/app", other):
            assert got.status == 503
            assert int(got.headers["retry-after"]) <= 20
        assert len(upstream.seen("*/blobs/*")) == 1

        until(lambda: cache.blob("library/app", DIGEST).status == 200, 60, "the end of the rest")
        assert upstream.sent(f"*/blobs/{DIGEST}") < SIZE + 1000


def put_image(upstream: Upstream, folder: Path) -> tuple[Layout, Digest]:
    image = Layout(folder)
    image.add_image("real", [random_layer(500_000, 3)])
    image.put_into(upstream.content, "real", "library/app", as_tag="1")
    return image, image.tagged("real")


def pull(cache: Cluster, image: Layout, tag: str = "1") -> None:
    """What a client does, checked."""
    manifest = cache.get(f"/v2/library/app/manifests/{tag}")
    digest = Digest.of(manifest.body)
    assert (manifest.status, digest) == (200, image.tagged("real")), manifest
    for blob in image.blobs_of(digest):
        got = cache.blob("library/app", blob)
        assert (got.status, got.digest, got.cut) == (200, blob, False)


def test_without_the_broker_hits_go_on_and_misses_get_503_until_it_is_back(
    tmp_path: Path, upstream: Upstream, rabbit: Rabbit, amqp_url: str
) -> None:
    image, _ = put_image(upstream, tmp_path / "image")
    upstream.add_blob("library/app", CONTENT)
    patience = {"patience": "3s", "workers": 2}
    with cluster(tmp_path / "cache", upstream.url, amqp_url, frontend=patience) as cache:
        pull(cache, image)
        rabbit.stop()
        pull(cache, image)
        missed = cache.blob("library/app", DIGEST)
        assert (missed.status, b"UNAVAILABLE" in missed.body) == (503, True)
        assert int(missed.headers["retry-after"]) >= 1
        rabbit.start()
        until(lambda: cache.blob("library/app", DIGEST).digest == DIGEST, 60, cache.logs())


def test_a_broker_that_dies_in_mid_download_costs_nobody_their_pull(
    tmp_path: Path, upstream: Upstream, rabbit: Rabbit, amqp_url: str
) -> None:
    upstream.add_blob("library/app", CONTENT)
    held = HoldBody(after=1_000_000)
    upstream.fail("*/blobs/*", held)
    settings = {"readtimeout": "60s", "lease": "5s"}
    with cluster(tmp_path / "cache", upstream.url, amqp_url, fetcher=settings) as cache:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(cache.blob, "library/app", DIGEST)
            assert held.reached.wait(20)
            rabbit.kill()
            held.release()
            got = answer.result(60)
        assert (got.status, got.digest, got.cut) == (200, DIGEST, False)
        rabbit.start()


def test_without_the_upstream_it_starts_and_serves_what_it_has(
    tmp_path: Path, queue_url: str | None
) -> None:
    with Upstream() as upstream:
        image, _ = put_image(upstream, tmp_path / "image")
        with cluster(tmp_path / "cache", upstream.url, queue_url) as cache:
            pull(cache, image)
        url = upstream.url
    stale = {"remoteurl": url, "tagttl": "0s"}
    with cluster(tmp_path / "cache", url, queue_url, proxy=stale) as cache:
        pull(cache, image)
        assert "warning" in cache.get("/v2/library/app/manifests/1").headers
        # 503: after several in vain the upstream is not asked for a while.
        assert cache.get("/v2/library/app/manifests/2").status in (502, 503)
        listed = cache.get("/v2/library/app/tags/list")
        assert (listed.status, b'"1"' in listed.body) == (200, True)


def test_what_is_not_used_expires_and_can_be_pulled_again(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    image, digest = put_image(upstream, tmp_path / "image")
    short = {"remoteurl": upstream.url, "ttl": "8s"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, proxy=short) as cache:
        pull(cache, image)
        everything = [cache.until_committed(blob) for blob in [digest, *image.blobs_of(digest)]]
        until(lambda: not any(path.exists() for path in everything), 40, "all to expire")
        until(lambda: "link" not in names_below(cache.layout.registry), 40, "all links to go")
        pull(cache, image)
