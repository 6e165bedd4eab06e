"""Numbers as Prometheus reads them (prometheus.io/docs/instrumenting/exposition_formats)."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from common.metrics.catalogue import REGISTRY
from common.metrics.kinds import Definition, Fold, Snapshot, Value

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Said(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for name, metric in REGISTRY.metrics.items():
            if series := self._snapshot.get(name):
                definition = metric.definition
                family = Metric(name.removesuffix("_total"), definition.help, definition.kind)
                for labels, value in series.items():
                    named = dict(zip(definition.labels, labels, strict=True))
                    _add(family, definition, named, value)
                yield family


def render(snapshot: Snapshot) -> bytes:
    """A snapshot in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Said(snapshot))
    return generate_latest(registry)


def _add(family: Metric, definition: Definition, labels: dict[str, str], value: Value) -> None:
    if not isinstance(value, list):
        family.add_sample(definition.name, labels, value)
    elif definition.fold is Fold.LAST:
        family.add_sample(definition.name, labels, value[0])
    else:
        _add_histogram(family, definition, labels, value)


def _add_histogram(
    family: Metric, definition: Definition, labels: dict[str, str], value: list[float]
) -> None:
    total, *counts = value
    below = 0.0
    for bound, count in zip((*definition.buckets, float("inf")), counts, strict=True):
        below += count
        le = "+Inf" if bound == float("inf") else repr(bound)
        family.add_sample(f"{definition.name}_bucket", {**labels, "le": le}, below)
    family.add_sample(f"{definition.name}_count", labels, below)
    family.add_sample(f"{definition.name}_sum", labels, total)
