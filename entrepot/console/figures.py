"""What the machine's processes have counted, looked up by metric and labels."""

from collections.abc import Iterator

from common.metrics.catalogue import PROCESSES
from common.metrics.kinds import Numbers, Snapshot


class Figures:
    """One snapshot; labels that are not given may be anything."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def is_whole(self) -> bool:
        """Whether the machine's frontends are in it; else they are elsewhere, with what they count."""
        return self.total(PROCESSES, role="frontend") > 0

    def total(self, metric: Numbers, **labels: str) -> float:
        """The sum of all series with these labels; 0 where there are none."""
        return sum(self._values(metric, labels))

    def one(self, metric: Numbers, **labels: str) -> float | None:
        """The first series with these labels; None: nobody says."""
        return next(self._values(metric, labels), None)

    def _values(self, metric: Numbers, labels: dict[str, str]) -> Iterator[float]:
        definition = metric.definition
        wanted = [(definition.labels.index(name), value) for name, value in labels.items()]
        for found, value in self._snapshot.get(definition.name, {}).items():
            if all(found[place] == label for place, label in wanted):
                # What was said last comes with the moment it was said.
                yield value[0] if isinstance(value, list) else value
