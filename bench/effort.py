"""How much a run of the benchmark asks of the machine."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """`seconds` is how long one sample of a steady load takes; what is counted in bytes, clients or
    images is divided by `divisor`, but never below what still shows the kind of thing.
    """

    seconds: float
    divisor: int
    million: bool = False

    def size(self, full_bytes: int) -> int:
        """Bytes of a body."""
        return max(full_bytes // self.divisor, 256 * 1024)

    def count(self, full: int, least: int = 4) -> int:
        """Clients, images, layers."""
        return max(full // self.divisor, least)

    def steps(self, full: Sequence[int]) -> Sequence[int]:
        """Points at which growth is looked at."""
        return full if self.divisor == 1 else (full[0], full[-1])


FULL = Effort(seconds=3.0, divisor=1)
# A look at whether everything runs; its figures mean nothing.
QUICK = Effort(seconds=0.3, divisor=20)
