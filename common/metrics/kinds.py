"""The kinds of metrics: plain numbers in this process, in the shape that is told to others.

What counts is an int that grows: `cell.value += 1` where one thread counts, as on a frontend's
loop, and `cell.add(1)` where several do. Nothing is rendered, locked or written for it.

Labels are bounded: upstreams as configured, and words that are fixed here. Never a digest, a
repository or a tag.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

Labels: TypeAlias = tuple[str, ...]
Value: TypeAlias = float | list[float]
"""A number; where the last word counts, with the moment it was said (monotonic seconds); of a
histogram the sum, then how many fell into each bucket, the one above all last."""
Series: TypeAlias = dict[Labels, Value]
Snapshot: TypeAlias = dict[str, Series]
"""What a process says of everything, by the names of metrics."""

# Held for some dozens of nanoseconds, and by no frontend.
_LOCK = threading.Lock()


class Fold(Enum):
    """What one machine's processes amount to together; dead ones count for what is added up."""

    TOTAL = "total"  # added up, the dead included: counters and histograms
    SUM = "sum"  # added up, of the living
    MAX = "max"  # the largest
    MIN = "min"  # the smallest
    LAST = "last"  # what was said last, by whomever


@dataclass(frozen=True, slots=True)
class Definition:
    """What a metric is: `kind` as Prometheus calls it, `help` for people."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    fold: Fold
    buckets: tuple[float, ...] = ()


class Cell:
    """One number."""

    __slots__ = ("at", "value")

    def __init__(self) -> None:
        self.value: float = 0
        self.at = 0.0

    def add(self, amount: float = 1) -> None:
        """Add `amount`, from any thread."""
        with _LOCK:
            self.value += amount

    def set(self, value: float) -> None:
        """Be `value`, as of now."""
        self.value = value
        self.at = time.monotonic()


class Numbers:
    """A counter or a gauge: a cell for each combination of labels in use."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self._cells: dict[Labels, Cell] = {}

    def of(self, *labels: str) -> Cell:
        """The cell of these labels, in the definition's order, from now on part of the metric."""
        cell = self._cells.get(labels)
        if cell is None:
            if len(labels) != len(self.definition.labels):
                raise ValueError(f"{self.definition.name} has labels {self.definition.labels}")
            cell = self._cells.setdefault(labels, Cell())
        return cell

    def forget(self, *labels: str) -> None:
        """Say nothing of these labels: a gauge that is not known now is not 0."""
        self._cells.pop(labels, None)

    def series(self) -> Series:
        """What it says now."""
        cells = list(self._cells.items())
        if self.definition.fold is Fold.LAST:
            return {labels: [cell.value, cell.at] for labels, cell in cells}
        return {labels: cell.value for labels, cell in cells}


class Distribution:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._sum = 0.0
        self._counts: list[float] = [0] * (len(self._bounds) + 1)

    def observe(self, value: float) -> None:
        """Take in one value, from any thread."""
        bucket = bisect_left(self._bounds, value)
        with _LOCK:
            self._sum += value
            self._counts[bucket] += 1

    @property
    def value(self) -> Value:
        """See Value."""
        with _LOCK:
            return [self._sum, *self._counts]


class Histogram:
    """A distribution for each combination of labels in use."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self._series: dict[Labels, Distribution] = {}

    def of(self, *labels: str) -> Distribution:
        """The distribution of these labels, in the definition's order."""
        found = self._series.get(labels)
        if found is None:
            if len(labels) != len(self.definition.labels):
                raise ValueError(f"{self.definition.name} has labels {self.definition.labels}")
            found = self._series.setdefault(labels, Distribution(self.definition.buckets))
        return found

    def series(self) -> Series:
        """What it says now."""
        return {labels: found.value for labels, found in list(self._series.items())}


Metric: TypeAlias = Numbers | Histogram
Probe: TypeAlias = Callable[[], None]
"""Sets gauges from what they are about, when somebody is to be told."""


class Registry:
    """All metrics of this process, by name."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self._probes: list[Probe] = []

    def counter(self, name: str, help_: str, *labels: str) -> Numbers:
        """What only grows; `name` ends in _total."""
        return self._number(Definition(name, "counter", help_, labels, Fold.TOTAL))

    def gauge(self, name: str, help_: str, *labels: str, fold: Fold) -> Numbers:
        """What goes up and down."""
        return self._number(Definition(name, "gauge", help_, labels, fold))

    def histogram(
        self, name: str, help_: str, *labels: str, buckets: tuple[float, ...]
    ) -> Histogram:
        """How values are distributed; `buckets` are upper bounds, inclusive, rising."""
        definition = Definition(name, "histogram", help_, labels, Fold.TOTAL, buckets)
        metric = self.metrics[name] = Histogram(definition)
        return metric

    def _number(self, definition: Definition) -> Numbers:
        metric = self.metrics[definition.name] = Numbers(definition)
        return metric

    def probe(self, probe: Probe) -> None:
        """Have `probe` called before each snapshot, on whatever thread takes it."""
        self._probes.append(probe)

    def snapshot(self) -> Snapshot:
        """What all metrics that are in use say now."""
        for probe in self._probes:
            probe()
        return {name: series for name, m in self.metrics.items() if (series := m.series())}
