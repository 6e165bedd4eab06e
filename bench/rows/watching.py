"""What being watched over costs under load: scrapes, and how late the event loop comes round."""

import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

from bench import wrk
from bench.client import Connection
from bench.figures import ENTREPOT, Aim, Figure
from bench.parties import Party
from bench.row import MIB, Row
from bench.rows.slow_readers import readers
from bench.stage import Stage

_PAUSE_SECONDS = 0.05
_LAG = re.compile(r"^entrepot_loop_lag_seconds ([0-9.e+-]+)$", re.MULTILINE)


class _Watched(Row):
    """One entrepot that tells its metrics, fresh for each sample: what it remembers of its last
    half minute is this sample's.
    """

    parties = (ENTREPOT,)

    def prepare(self, stage: Stage) -> None:
        stage.tell()
        self._image = stage.goods.image(self.effort.size(64 * MIB))

    @contextmanager
    def _loaded(self, stage: Stage, count: int) -> Iterator[Party]:
        """With so many slow readers of a cached blob."""
        with stage.apart(frontend={"connections": 10_000}) as party:
            stage.check(party, self._image.by_digest, self._image.digest)
            stage.check(party, self._image.blobs[1].path, self._image.blobs[1].digest)
            stage.settle()
            with readers(party.port, self._image.blobs[1].path, count):
                yield party


class Scrape(_Watched):
    """Scrapes of /metrics while 2,000 streams are open, and a manifest beside each of them."""

    key = "scrape"
    figures = (
        Figure("scrape", "scrape, median", "ms", 1),
        Figure("worst", "scrape, worst", "ms", 1),
        Figure("beside", "manifest beside, median", "ms", 1),
        Figure("beside-worst", "manifest beside, worst", "ms", 1),
    )
    aims = (
        Aim(
            "scrapes ≤ 100 ms at worst (depends on the machine)",
            lambda of: of(ENTREPOT, "worst") <= 100,
        ),
    )

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        return f"scrapes of /metrics beside {self._count:,} open streams"

    @property
    def _count(self) -> int:
        return self.effort.count(2000)

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        scrapes, beside = [], []
        with self._loaded(stage, self._count) as loaded:
            for _ in range(self.effort.count(100)):
                time.sleep(_PAUSE_SECONDS)
                begun = time.perf_counter()
                _metrics(loaded)
                scrapes.append(time.perf_counter() - begun)
                with Connection(loaded.port) as connection:
                    beside.append(connection.get(self._image.by_digest).last)
        return {
            "scrape": statistics.median(scrapes) * 1e3,
            "worst": max(scrapes) * 1e3,
            "beside": statistics.median(beside) * 1e3,
            "beside-worst": max(beside) * 1e3,
        }


class LoopLag(_Watched):
    """The gauge that an alert looks at, after 16 connections of wrk beside 200 slow readers."""

    key = "loop-lag"
    figures = (
        Figure("lag", "entrepot_loop_lag_seconds", "ms", 1),
        Figure("rate", "manifests meanwhile", "/s", more_is_better=True),
    )
    aims = (Aim("≤ 100 ms (depends on the machine)", lambda of: of(ENTREPOT, "lag") <= 100),)

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        return f"loop lag, 16 connections and {self.effort.count(200)} slow readers"

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        with self._loaded(stage, self.effort.count(200)) as loaded:
            load = wrk.run(loaded.port, self._image.by_digest, seconds=3 * self.effort.seconds)
            time.sleep(1.5)  # the workers publish once a second
            told = _LAG.search(_metrics(loaded))
        if told is None:
            raise RuntimeError("no loop lag is told")
        return {"lag": float(told[1]) * 1e3, "rate": load.rate}


def _metrics(party: Party) -> str:
    with urlopen(f"http://127.0.0.1:{party.debug}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    return text
