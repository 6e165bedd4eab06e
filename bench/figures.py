"""What is measured, of whom: the words that rows, tables and charts share."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

ENTREPOT = "entrepot"
REGISTRY = "docker-registry"
NGINX = "nginx"
DIRECT = "direct"
"""Nobody in between: the same client asks the upstream itself."""

EVERYBODY = (ENTREPOT, REGISTRY, NGINX, DIRECT)


@dataclass(frozen=True)
class Figure:
    """One kind of number. `digits` behind the point is how it is printed."""

    key: str
    title: str
    unit: str
    digits: int = 0
    more_is_better: bool = False

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


@dataclass(frozen=True)
class Aim:
    """What entrepot is meant to reach, in words and as a check of everybody's medians."""

    text: str
    reached: Callable[[Callable[[str, str], float]], bool]
    """Called with what gives the median of a party's figure: `of(party, key)`."""


@dataclass
class Result:
    """All samples of one row: `samples[party][key]`, one number for each round."""

    key: str
    title: str
    figures: Sequence[Figure]
    aims: Sequence[Aim] = ()
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, party: str, sample: Mapping[str, float]) -> None:
        """Add the figures of one round."""
        kept = self.samples.setdefault(party, {})
        for figure in self.figures:
            if figure.key in sample:
                kept.setdefault(figure.key, []).append(sample[figure.key])

    def median(self, party: str, key: str) -> float | None:
        """None where this party has no such figure."""
        found = self.samples.get(party, {}).get(key)
        return statistics.median(found) if found else None

    def verdicts(self) -> list[tuple[str, bool]]:
        """Each aim's words, and whether it is reached."""

        def of(party: str, key: str) -> float:
            median = self.median(party, key)
            if median is None:
                raise KeyError(f"{self.key}: {party} has no {key}")
            return median

        return [(aim.text, aim.reached(of)) for aim in self.aims]


@dataclass
class Growth:
    """How figures grow along `along`: `points` is a list of (x, figures by key)."""

    key: str
    title: str
    along: str
    figures: Sequence[Figure]
    points: list[tuple[int, dict[str, float]]] = field(default_factory=list)
