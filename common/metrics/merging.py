"""From what each process says to what a machine says."""

from collections.abc import Iterable, Sequence
from typing import cast

from common.metrics.catalogue import (
    HITS,
    JOINS,
    MISSES,
    PROXY_HITS,
    PROXY_MISSES,
    PROXY_PULLED,
    PROXY_PUSHED,
    PROXY_REQUESTS,
    RECEIVED,
    REGISTRY,
    SENT,
)
from common.metrics.kinds import Definition, Fold, Histogram, Numbers, Series, Snapshot, Value

_DISTRIBUTION: Sequence[tuple[Numbers, Sequence[Numbers]]] = (
    (PROXY_REQUESTS, (HITS, MISSES, JOINS)),
    (PROXY_HITS, (HITS,)),
    (PROXY_MISSES, (MISSES, JOINS)),
    (PROXY_PULLED, (RECEIVED,)),
    (PROXY_PUSHED, (SENT,)),
)
_TYPES = ("blob", "manifest")


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """All of them as one, each metric by its fold; metrics unknown here are left out."""
    merged: Snapshot = {}
    for snapshot in snapshots:
        for name, series in snapshot.items():
            metric = REGISTRY.metrics.get(name)
            if metric is not None:
                _fold(metric.definition, merged.setdefault(name, {}), series)
    return merged


def lasting(snapshot: Snapshot) -> Snapshot:
    """What of it still counts when its process has died."""
    return {
        name: series
        for name, series in snapshot.items()
        if (metric := REGISTRY.metrics.get(name)) and metric.definition.fold is Fold.TOTAL
    }


def as_distribution(snapshot: Snapshot) -> Snapshot:
    """The same and, made of it, what distribution's panels look for."""
    for target, sources in _DISTRIBUTION:
        snapshot[target.definition.name] = {
            (kind,): sum(_of_type(snapshot, source, kind) for source in sources) for kind in _TYPES
        }
    return snapshot


def _of_type(snapshot: Snapshot, metric: Numbers, kind: str) -> float:
    place = metric.definition.labels.index("type")
    series = snapshot.get(metric.definition.name, {})
    return sum(cast("float", value) for labels, value in series.items() if labels[place] == kind)


def _fold(definition: Definition, into: Series, series: Series) -> None:
    for labels, value in series.items():
        if not _fits(definition, value):
            continue  # told by a process of another version
        into[labels] = _both(definition, into[labels], value) if labels in into else value


def _fits(definition: Definition, value: Value) -> bool:
    metric = REGISTRY.metrics[definition.name]
    if isinstance(metric, Histogram):
        return isinstance(value, list) and len(value) == len(definition.buckets) + 2
    return isinstance(value, list) == (definition.fold is Fold.LAST)


def _both(definition: Definition, one: Value, other: Value) -> Value:
    if isinstance(one, list) and isinstance(other, list):
        if definition.fold is Fold.LAST:
            return max(one, other, key=lambda said: said[1])
        return [a + b for a, b in zip(one, other, strict=True)]
    a, b = cast("float", one), cast("float", other)
    match definition.fold:
        case Fold.MAX:
            return max(a, b)
        case Fold.MIN:
            return min(a, b)
        case _:
            return a + b
