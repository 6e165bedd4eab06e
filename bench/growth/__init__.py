"""How cost grows with clients, with what is stored, and with processes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.effort import Effort
from bench.figures import Growth
from bench.growth import blobs, clients, herds, processes

Tell = Callable[[str], None]

KINDS: dict[str, Callable[[Effort, Path], Iterator[Growth]]] = {
    "clients": clients.grow,
    "herds": herds.grow,
    "blobs": blobs.grow,
    "processes": processes.grow,
}


def run(effort: Effort, folder: Path, *, only: Sequence[str], tell: Tell) -> list[Growth]:
    """Measure the kinds in `only`, all if it is empty."""
    found: list[Growth] = []
    for kind, grow in KINDS.items():
        if not only or kind in only:
            for growth in grow(effort, folder):
                tell(f"{growth.title}: {growth.points}")
                found.append(growth)
    return found
