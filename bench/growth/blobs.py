"""More and more blobs in storage, and what a hit then costs."""

import random
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from bench.effort import Effort
from bench.figures import Figure, Growth
from bench.million import Made, connect, hit, role

_COUNTS = (10**2, 10**3, 10**4, 10**5)
_MILLION = 10**6
_REPOSITORIES = 100
_SAMPLES = 2000


def grow(effort: Effort, folder: Path) -> Iterator[Growth]:
    """Tiny blobs, each asked for twice over one connection, 10² to 10⁵; 10⁶ when wanted."""
    growth = Growth(
        "blobs",
        "a cached blob, over more and more blobs in storage",
        "blobs",
        (
            Figure("again", "asked for again, median", "µs"),
            Figure("first", "asked for the first time, median", "µs"),
            Figure("tail", "asked for again, 99th percentile", "µs"),
        ),
    )
    for full in effort.steps(_COUNTS + ((_MILLION,) if effort.million else ())):
        count = effort.count(full)
        root = folder / f"blobs{full}"
        root.mkdir()
        made = Made(root, count, max(_REPOSITORIES, count // 100))
        try:
            made.make()
            growth.points.append((count, _hits(made, effort.count(_SAMPLES))))
        finally:
            shutil.rmtree(root)
    yield growth


def _hits(made: Made, samples: int) -> dict[str, float]:
    chosen = random.Random(1)  # noqa: S311 - a choice, no secret
    numbers = [chosen.randrange(made.blobs) for _ in range(samples)]
    with role(made, "frontend") as (_, port, _):
        connection = connect(port)
        first = [hit(made, connection, number) for number in numbers]
        again = [hit(made, connection, number) for number in numbers]
        connection.close()
    return {
        "again": statistics.median(again) * 1e6,
        "first": statistics.median(first) * 1e6,
        "tail": statistics.quantiles(again, n=100)[-1] * 1e6,
    }
