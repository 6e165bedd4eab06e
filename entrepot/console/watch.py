"""How things are now: looked at once for all who watch, and not more than twice a second."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from common.broker import Broker
from common.claims import Claims
from common.config import Config
from common.digest import Digest
from common.insight import queue as queue_insight
from common.insight.fills import FillFacts, fills
from common.insight.processes import ProcessFacts, processes
from common.insight.queue import QueueFacts
from common.insight.upstreams import UpstreamFacts, upstreams
from common.metrics.kinds import Snapshot
from common.metrics.machine import Busy
from common.paths import Layout
from entrepot.console.figures import Figures

MOST_FILLS = 100
_FRESH = 0.5
# What is asked of others, or changes seldom.
_SELDOM = 5.0
_UNKNOWN = QueueFacts({}, None)


@dataclass(frozen=True, slots=True)
class FillNow:
    """A download: `speed` in bytes a second, None: not known yet; `waiting` clients of this machine,
    None: they are served by others.
    """

    facts: FillFacts
    speed: float | None
    waiting: int | None

    @property
    def left(self) -> float | None:
        """Seconds, as it looks now."""
        size = self.facts.size
        return (size - self.facts.received) / self.speed if size and self.speed else None


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a look finds; `figures` are of this machine, the rest of all of them."""

    fills: list[FillNow]
    processes: list[ProcessFacts]
    queue: QueueFacts
    upstreams: list[UpstreamFacts]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look."""

    layout: Layout
    claims: Claims
    broker: Broker
    collect: Callable[[], Snapshot]
    collect_waiting: Callable[[], Mapping[str, int]]


class Watch:
    """Looks when somebody asks."""

    def __init__(self, config: Config, sources: Sources) -> None:
        self._sources = sources
        self._upstreams = tuple(config.proxy.upstreams)
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._looked = self._asked = float("-inf")
        self._speeds = Speeds()
        self._queue = _UNKNOWN
        self._processes: list[ProcessFacts] = []

    def look(self) -> Picture:
        """A picture that is half a second old at most."""
        with self._lock:
            now = time.monotonic()
            if self._picture is None or now - self._looked > _FRESH:
                self._picture = self._take(now)
                self._looked = now
            return self._picture

    def _take(self, now: float) -> Picture:
        layout = self._sources.layout
        if now - self._asked > _SELDOM:
            self._queue = queue_insight.queue(self._sources.broker)
            self._processes = processes(layout)
            self._asked = now
        figures = Figures(self._collect())
        return Picture(
            self._fills(now, figures),
            self._processes,
            self._queue,
            upstreams(layout, self._upstreams),
            figures,
        )

    def _fills(self, now: float, figures: Figures) -> list[FillNow]:
        try:
            found = fills(self._sources.layout, self._sources.claims, MOST_FILLS)
        except OSError:  # looking takes a file for a clock, which not everybody may write
            return []
        waiting: Mapping[str, int] = {}
        with suppress(OSError, Busy, ValueError):
            waiting = self._sources.collect_waiting()
        speeds = self._speeds.of({each.digest: each.received for each in found}, now)
        return [
            FillNow(
                each,
                speeds[each.digest],
                waiting.get(each.digest, 0) if figures.is_whole else None,
            )
            for each in sorted(found, key=lambda each: (-each.received, each.digest))
        ]

    def _collect(self) -> Snapshot:
        try:
            return self._sources.collect()
        except (OSError, Busy, ValueError):
            return {}


class Speeds:
    """How fast what is looked at again and again grows, over the last seconds."""

    _SECONDS = 4.0

    def __init__(self) -> None:
        self._before: dict[Digest, list[tuple[float, int]]] = {}

    def of(self, received: Mapping[Digest, int], now: float) -> dict[Digest, float | None]:
        """Bytes a second of each; None where this is the first look, or it began anew."""
        self._before = {
            digest: [
                *(
                    (at, size)
                    for at, size in self._before.get(digest, [])
                    if now - at <= self._SECONDS and size <= count
                ),
                (now, count),
            ]
            for digest, count in received.items()
        }
        return {digest: _speed(seen) for digest, seen in self._before.items()}


def _speed(seen: list[tuple[float, int]]) -> float | None:
    (began, first), (ended, last) = seen[0], seen[-1]
    return (last - first) / (ended - began) if ended > began else None
