"""Connections beside the one that a download has: only what nobody else wants, and no trouble."""

import time
from collections.abc import Callable

from fetcher.turns import Turns

# Seconds without any, after one was refused or failed.
WITHHELD = 60.0


class Spares:
    """One upstream's; thread-safe."""

    def __init__(
        self, turns: Turns, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Give `most` of its turns at the same time."""
        self._turns = turns
        self._most = most
        self._clock = clock
        self._until = float("-inf")

    @property
    def are_withheld(self) -> bool:
        """Whether there are none for now."""
        return self._most == 0 or self._clock() < self._until

    def take(self) -> Callable[[], None] | None:
        """How to give back the one that is the caller's now; None when there is none."""
        if self.are_withheld or not self._turns.take_spare(self._most):
            return None
        return self._turns.give_back_spare

    def withhold(self) -> None:
        """Give none for a while."""
        self._until = self._clock() + WITHHELD
