"""More and more clients that ask for what is cached."""

from collections.abc import Iterator
from pathlib import Path

from bench import wrk
from bench.effort import Effort
from bench.figures import ENTREPOT, Figure, Growth
from bench.row import Spent
from bench.stage import stage

_COUNTS = (1, 4, 16, 64, 256, 1000, 2000)


def grow(effort: Effort, folder: Path) -> Iterator[Growth]:
    """One manifest, by digest, over so many connections."""
    growth = Growth(
        "clients",
        "a cached manifest by digest, over more and more connections",
        "connections",
        (
            Figure("rate", "requests", "/s", more_is_better=True),
            Figure("cpu", "CPU a request", "µs"),
            Figure("median", "median", "ms", 1),
            Figure("tail", "99th percentile", "ms", 1),
            Figure("memory", "memory (PSS)", "MB"),
        ),
    )
    with stage(folder, [ENTREPOT]) as running:
        party = running.parties[ENTREPOT]
        image = running.goods.image(1024)
        running.check(party, image.by_digest, image.digest)
        for count in effort.steps(_COUNTS):
            spent = Spent(party)
            load = wrk.run(party.port, image.by_digest, seconds=effort.seconds, connections=count)
            figures = {
                "rate": load.rate,
                "cpu": spent.cpu() / load.requests * 1e6,
                "median": load.median * 1e3,
                "tail": load.tail * 1e3,
                "memory": party.pss_bytes() / 1e6,
            }
            growth.points.append((count, figures))
    yield growth
