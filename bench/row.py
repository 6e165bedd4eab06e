"""What a row of the table is."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from bench.effort import Effort
from bench.figures import ENTREPOT, REGISTRY, Aim, Figure, Result
from bench.parties import Party
from bench.stage import Stage

GIB = 2**30
MIB = 2**20


class Row(ABC):
    """One kind of work, measured of each of its parties in turns.

    The first of its figures is the one that charts show and ratios are made of.
    """

    key: str
    title: str
    figures: Sequence[Figure]
    parties: Sequence[str] = (ENTREPOT, REGISTRY)
    aims: Sequence[Aim] = ()

    def __init__(self, effort: Effort) -> None:
        self.effort = effort

    def result(self) -> Result:
        """Where its samples are to go."""
        return Result(self.key, self.title, self.figures, self.aims)

    def prepare(self, stage: Stage) -> None:  # noqa: B027 - most rows need none
        """What comes before all rounds, untimed."""

    @abstractmethod
    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        """One sample: figures by key."""


class Spent:
    """Time and processor time of a party since it was made."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self._cpu = party.cpu_seconds()
        self._begun = time.perf_counter()

    def seconds(self) -> float:
        """Of the clock."""
        return time.perf_counter() - self._begun

    def cpu(self) -> float:
        """Of its processors; in steps of 10 ms."""
        return self._party.cpu_seconds() - self._cpu
