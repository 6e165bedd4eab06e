"""The size limit, with everything running and clients that pull without pause."""

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.parts.counting import Upstream
from tests.parts.images import Layout, random_layer
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

LAYER = 100_000
HOT, COLD = 2, 88
IMAGE = 2 * LAYER
MAXSIZE = (HOT + COLD) * IMAGE // 3
LOWWATER = 60
CLIENTS = 4
PULLS = 200
# Downloads have their room before they are committed. Manifests are so small that none is asked for.
MANIFEST = 2 * 4096


class Gauge:
    """The most that blobs and trash took up at any moment."""

    def __init__(self, cache: Cluster) -> None:
        """Look without pause until told to stop."""
        self._folders = [cache.layout.blobs, cache.layout.trash]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self.most = max(self.most, self.now())

    def now(self) -> int:
        """Bytes of all files that there are at one moment.

        A walk takes a while, in which some go and others come. What a second one finds again was
        there at the moment between the two.
        """
        before, after = self._files(), self._files()
        return sum(size for file, size in before.items() if file in after)

    def _files(self) -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for folder in self._folders:
            for parent, _, files in os.walk(folder):
                for name in files:
                    with suppress(FileNotFoundError):
                        seen = os.stat(f"{parent}/{name}")
                        # Renamed into the trash, it is still the same.
                        found[seen.st_ino, seen.st_mtime_ns] = seen.st_size
        return found


def _images(upstream: Upstream, folder: Path) -> Layout:
    images = Layout(folder)
    for number in range(HOT + COLD):
        layers = [random_layer(LAYER, 2 * number), random_layer(LAYER, 2 * number + 1)]
        images.add_image(f"image{number}", layers)
        images.put_into(upstream.content, f"image{number}", f"library/app{number}", as_tag="1")
    return images


def _pull(cache: Cluster, images: Layout, number: int) -> None:
    manifest = cache.get(f"/v2/library/app{number}/manifests/1")
    digest = images.tagged(f"image{number}")
    assert (manifest.status, manifest.digest) == (200, digest), manifest
    for blob in images.blobs_of(digest):
        got = cache.blob(f"library/app{number}", blob)
        assert (got.status, got.digest, got.cut) == (200, blob, False)


def test_under_load_the_limit_holds_and_what_is_used_most_is_never_fetched_again(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    images = _images(upstream, tmp_path / "images")
    # In proportion to a limit of thirty images, the time to react is long.
    limit = {"maxsize": str(MAXSIZE), "lowwater": LOWWATER, "grace": "1h"}
    with cluster(tmp_path / "cache", upstream.url, queue_url, janitor=limit) as cache:
        until(lambda: "sweep finished" in cache.logs(), 20)
        for number in range(HOT):
            _pull(cache, images, number)
        schedule = random.Random(7)

        def pull_something(turn: int) -> None:
            for number in range(HOT):
                _pull(cache, images, number)
            _pull(cache, images, HOT + schedule.randrange(COLD))

        with Gauge(cache) as gauge, ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(pull_something, range(PULLS)))
        asked = _downloads(upstream)
        hot = {
            blob
            for number in range(HOT)
            for blob in images.blobs_of(images.tagged(f"image{number}"))
        }
        # The load was one that needs the limit: what is cold came more than once.
        assert max(asked[blob] for blob in asked if blob not in hot) > 1
        assert {blob: asked[blob] for blob in hot} == dict.fromkeys(hot, 1)
        assert gauge.most <= MAXSIZE + CLIENTS * MANIFEST
        until(lambda: gauge.now() <= MAXSIZE, 20, "the limit to be kept at rest")


def _downloads(upstream: Upstream) -> Counter[str]:
    asked = upstream.seen("*/blobs/*", method="GET")
    return Counter(exchange.path.rpartition("/")[2] for exchange in asked)
