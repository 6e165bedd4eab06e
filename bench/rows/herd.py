"""Many clients at once that want one blob which nobody has had yet."""

import statistics

from bench import crowd
from bench.figures import DIRECT, ENTREPOT, REGISTRY, Aim, Figure
from bench.parties import Party
from bench.row import Row, Spent
from bench.stage import Stage

_RATE = 40e6


class Herd(Row):
    """24 clients, 60 MB, an upstream of 40 MB/s a connection. Direct is one client alone."""

    key = "herd"
    figures = (
        Figure("seconds", "until the last has it", "s", 2),
        Figure("bytes", "upstream's bytes / the blob's", "×", 2),
        Figure("first", "first byte, median", "ms"),
        Figure("worst", "first byte, worst", "ms"),
        Figure("cpu", "CPU", "s", 2),
    )
    parties = (ENTREPOT, REGISTRY, DIRECT)
    aims = (
        Aim(
            "1.00 × the bytes, within 10 % of one direct download's time",
            lambda of: (
                round(of(ENTREPOT, "bytes"), 2) == 1
                and of(ENTREPOT, "seconds") <= 1.1 * of(DIRECT, "seconds")
            ),
        ),
    )

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        return (
            f"{self._clients} clients, one cold {self._size / 1e6:.0f} MB blob,"
            " 40 MB/s a connection; direct: one client"
        )

    @property
    def _clients(self) -> int:
        return self.effort.count(24)

    @property
    def _size(self) -> int:
        return self.effort.size(60_000_000)

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        blob = stage.goods.blob(self._size)
        stage.settle()
        stage.tell(rate=_RATE)
        clients = 1 if party.name == DIRECT else self._clients
        spent = Spent(party)
        readers = crowd.pull(party.port, [blob.path] * clients)
        stage.settle()
        figures = {
            "seconds": max(reader.last for reader in readers),
            "bytes": stage.asked().sent_bytes / blob.size,
            "first": statistics.median(reader.first for reader in readers) * 1e3,
            "worst": max(reader.first for reader in readers) * 1e3,
            "cpu": spent.cpu(),
        }
        stage.check(party, blob.path, blob.digest)
        stage.goods.forget(blob)
        return figures
