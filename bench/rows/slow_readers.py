"""Memory, and how a newcomer fares, while many slow clients are being served."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.client import Connection
from bench.figures import ENTREPOT, NGINX, REGISTRY, Aim, Figure
from bench.parties import Party
from bench.row import MIB, Row
from bench.stage import Stage

_PAUSE_SECONDS = 0.01


class SlowReaders(Row):
    """600 clients that read a cached blob of 64 MiB at 32 KiB/s each."""

    key = "slow-readers"
    figures = (
        Figure("memory", "memory (PSS)", "MB"),
        Figure("idle", "memory before", "MB"),
        Figure("newcomer", "newcomer's manifest, median", "ms", 1),
        Figure("worst", "newcomer's manifest, worst", "ms", 1),
    )
    parties = (ENTREPOT, REGISTRY, NGINX)
    aims = (
        Aim(
            "≤ 400 MB; newcomer ≤ 3 ms, ≤ 100 ms at worst",
            lambda of: (
                of(ENTREPOT, "memory") <= 400
                and of(ENTREPOT, "newcomer") <= 3
                and of(ENTREPOT, "worst") <= 100
            ),
        ),
    )

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        return f"{self._count} slow readers of a large blob"

    @property
    def _count(self) -> int:
        return self.effort.count(600)

    def prepare(self, stage: Stage) -> None:
        stage.tell()
        self._image = stage.goods.image(self.effort.size(64 * MIB))
        for name in self.parties:
            party = stage.parties[name]
            stage.check(party, self._image.by_digest, self._image.digest)
            stage.check(party, self._image.blobs[1].path, self._image.blobs[1].digest)
            stage.settle()

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        idle = party.pss_bytes()
        with readers(party.port, self._image.blobs[1].path, self._count):
            waited = self._newcomers(party.port)
            held = party.pss_bytes()
        return {
            "memory": held / 1e6,
            "idle": idle / 1e6,
            "newcomer": statistics.median(waited) * 1e3,
            "worst": max(waited) * 1e3,
        }

    def _newcomers(self, port: int) -> list[float]:
        """Seconds from connecting to the last byte, one after the other."""
        waited = []
        for _ in range(self.effort.count(300)):
            time.sleep(_PAUSE_SECONDS)
            begun = time.perf_counter()
            with Connection(port) as connection:
                connection.get(self._image.by_digest)
            waited.append(time.perf_counter() - begun)
        return waited


@contextmanager
def readers(port: int, path: str, count: int) -> Iterator[None]:
    """So many of them, in a process of their own, all of which have begun to read."""
    argv = [sys.executable, "-m", "bench.slow", str(port), path, str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout is None or process.stdout.readline() != b"reading\n":
            process.kill()
            raise RuntimeError("the slow readers did not begin")
        try:
            yield
        finally:
            process.communicate()  # closes its standard input, which ends it
