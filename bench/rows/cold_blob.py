"""One client that wants one blob which nobody has had yet."""

from collections.abc import Sequence

from bench.client import Connection
from bench.effort import Effort
from bench.figures import DIRECT, ENTREPOT, REGISTRY, Aim, Figure
from bench.parties import Party
from bench.row import GIB, Row, Spent
from bench.stage import Stage

_BYTES = 90_000_000


class ColdBlob(Row):
    """90 MB from an upstream of `rate` bytes a second and connection (0: no limit), `latency` s
    away; in at most `times` of what a direct download takes.
    """

    figures = (
        Figure("seconds", "time", "s", 3),
        Figure("first", "first byte", "ms"),
        Figure("cpu", "CPU", "s/GiB", 2),
        Figure("bytes", "upstream's bytes / the blob's", "×", 2),
    )
    parties = (ENTREPOT, REGISTRY, DIRECT)

    def __init__(
        self, effort: Effort, key: str, upstream: str, times: float, *, rate: float, latency: float
    ) -> None:
        super().__init__(effort)
        self.key = key
        self._size = effort.size(_BYTES)
        self.title = f"one cold {self._size / 1e6:.0f} MB blob, {upstream}"
        self.aims = (
            Aim(
                f"≤ {times:g} × direct",
                lambda of: of(ENTREPOT, "seconds") <= times * of(DIRECT, "seconds"),
            ),
        )
        self._rate, self._latency = rate, latency

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        blob = stage.goods.blob(self._size)
        stage.settle()
        stage.tell(rate=self._rate, latency=self._latency)
        spent = Spent(party)
        with Connection(party.port) as connection:
            got = connection.get(blob.path)
        stage.settle()
        figures = {
            "seconds": got.last,
            "first": got.first * 1e3,
            "cpu": spent.cpu() / (blob.size / GIB),
            "bytes": stage.asked().sent_bytes / blob.size,
        }
        stage.check(party, blob.path, blob.digest)
        stage.goods.forget(blob)
        return figures


def cold_blobs(effort: Effort) -> Sequence[Row]:
    """A fast upstream, and a slow and distant one."""
    return [
        ColdBlob(effort, "cold-fast", "fast upstream", 1.5, rate=0, latency=0),
        ColdBlob(
            effort,
            "cold-slow",
            "15 MB/s a connection, 50 ms away",
            0.35,
            rate=15e6,
            latency=0.05,
        ),
    ]
