"""One upstream that is slow, and clients that ask it for much: the others are served meanwhile."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.digest import Digest
from tests.parts.counting import Upstream
from tests.parts.faults import Late, Throttle
from tests.system.cluster import Cluster, Got, cluster
from tests.waiting import until

UP = "up.example"
PATIENCE = 8.0
ALL = ("GET", "HEAD")
BODY = b'{"schemaVersion": 2}'
TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class World:
    """A cache of two upstreams, the slow one its default; `crowd` are the clients of that one."""

    cache: Cluster
    slow: Upstream
    up: Upstream
    crowd: ThreadPoolExecutor
    asked: list[Future[Got]] = field(default_factory=list)

    def ask(self, *paths: str) -> None:
        """Have the crowd ask for these."""
        self.asked += [self.crowd.submit(self.cache.get, path) for path in paths]

    def timed(self, path: str) -> float:
        """How long a client waits for this; it gets it."""
        begun = time.monotonic()
        got = self.cache.get(path)
        assert got.status == 200, (got.body, self.cache.logs()[-4000:])
        return time.monotonic() - begun


@pytest.fixture
def world(tmp_path: Path, queue_url: str | None) -> Iterator[World]:
    slow = Upstream()
    with Upstream() as up, ThreadPoolExecutor(64) as crowd:
        for number in range(4):
            up.add_manifest("app", f"{number}", BODY, TYPE)
        sections = {
            "proxy": {"upstreams": [{"name": UP, "remoteurl": up.url}]},
            # The crowd has one address, and stands for clients of many.
            "frontend": {"patience": f"{PATIENCE:g}s", "missesperclient": 0},
            "fetcher": {"slots": 8, "readtimeout": "60s", "prefetch": False},
        }
        with (
            cluster(tmp_path / "cache", slow.url, queue_url, **sections) as cache,
            slow,  # gone before the cache drains, so that nothing is left to wait for
        ):
            yield World(cache, slow, up, crowd)


def test_an_upstream_that_is_silent_holds_up_no_other(world: World) -> None:
    world.slow.fail("*", Late(3600), methods=ALL)
    world.ask(*(f"/v2/app/manifests/tag-{number}" for number in range(40)))
    until(lambda: len(world.slow.seen("*/manifests/*")) >= 12, 20, "its share to be taken")
    for number in range(4):
        assert world.timed(f"/v2/{UP}/app/manifests/{number}") < PATIENCE / 2
    assert len(world.slow.seen("*/manifests/*")) == 12


def blobs(world: World, count: int, size: int) -> list[Digest]:
    return [
        world.slow.add_blob("app", number.to_bytes(4, "big") * (size // 4))
        for number in range(count)
    ]


def test_many_slow_blobs_hold_up_no_other(world: World) -> None:
    digests = blobs(world, 40, 1_500_000)
    world.slow.add_manifest("app", "latest", BODY, TYPE)
    world.slow.fail("*/blobs/*", Throttle(40_000))
    world.ask(*(f"/v2/app/blobs/{digest}" for digest in digests))
    until(lambda: len(world.slow.seen("*/blobs/*", "GET")) >= 8, 20, "their share to be taken")
    for number in range(4):
        assert world.timed(f"/v2/{UP}/app/manifests/{number}") < PATIENCE / 2
    assert world.timed("/v2/app/manifests/latest") < PATIENCE / 2
    assert len(world.slow.seen("*/blobs/*", "GET")) == 8


def test_who_waits_for_the_crowded_upstream_is_served_in_the_end(world: World) -> None:
    digests = blobs(world, 60, 40_000)
    world.slow.fail("*/blobs/*", Throttle(200_000))
    world.ask(*(f"/v2/app/blobs/{digest}" for digest in digests))
    assert [asked.result(60).digest for asked in world.asked] == digests
    assert len(world.slow.seen("*/blobs/*", "GET")) == len(digests)
