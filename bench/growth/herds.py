"""More and more clients that want, at once, a blob nobody has had yet."""

import statistics
from collections.abc import Iterator
from pathlib import Path

from bench import crowd
from bench.effort import Effort
from bench.figures import ENTREPOT, Figure, Growth
from bench.row import Spent
from bench.stage import stage

_COUNTS = (1, 10, 100, 500, 1000, 2000)
_BYTES = 2_000_000
_RATE = 40e6


def grow(effort: Effort, folder: Path) -> Iterator[Growth]:
    """So many clients, one cold blob of 2 MB, at 40 MB/s."""
    growth = Growth(
        "herds",
        "one cold blob of 2 MB at 40 MB/s, for more and more clients at once",
        "clients",
        (
            Figure("seconds", "until the last has it", "s", 2),
            Figure("first", "first byte, median", "ms"),
            Figure("bytes", "upstream's bytes / the blob's", "×", 2),
            Figure("cpu", "CPU a client", "ms", 2),
        ),
    )
    with stage(folder, [ENTREPOT]) as running:
        party = running.parties[ENTREPOT]
        for full in effort.steps(_COUNTS):
            count = effort.count(full, least=1)
            blob = running.goods.blob(_BYTES)
            running.settle()
            running.tell(rate=_RATE)
            spent = Spent(party)
            readers = crowd.pull(party.port, [blob.path] * count)
            running.settle()
            figures = {
                "seconds": max(reader.last for reader in readers),
                "first": statistics.median(reader.first for reader in readers) * 1e3,
                "bytes": running.asked().sent_bytes / blob.size,
                "cpu": spent.cpu() / count * 1e3,
            }
            growth.points.append((count, figures))
    yield growth
