"""What lies in the storage folder."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from common.claims import generations
from common.digest import Digest
from common.owner import decode_owner
from common.paths import Layout

# What `entrepot` clears away of its own accord is a day old.
BOUND = 24 * 3600.0


@dataclass
class Found:
    """One look at a storage folder."""

    blobs: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    links: int = 0
    dangling: list[str] = field(default_factory=list)
    """Links of repositories whose blob is not there."""
    adrift: list[str] = field(default_factory=list)
    """Tags likewise: what is evicted leaves them behind for the next pull, the sweep or their end."""


class Storage:
    """The folder that all processes share, looked at from outside."""

    def __init__(self, root: Path) -> None:
        self._layout = Layout(str(root))

    def look(self) -> Found:
        """Hash every blob, and look behind every link. What goes meanwhile was rightly there."""
        found = Found()
        for path in map(Path, self._blobs()):
            with suppress(FileNotFoundError):
                self._hash(path, found)
        for path in map(Path, _files(self._layout.repositories)):
            found.links += 1
            with suppress(FileNotFoundError):
                self._follow(path, found)
        return found

    def _hash(self, path: Path, found: Found) -> None:
        content = path.read_bytes()
        found.blobs += 1
        found.bytes += len(content)
        if Digest.of(content).hex != path.parent.name:
            found.damaged.append(str(path))

    def _follow(self, path: Path, found: Found) -> None:
        target = Path(self._layout.blob(Digest(path.read_text())))
        # The link goes before its data: one that is gone by now promised nothing any more.
        if not target.exists() and path.exists():
            which = found.adrift if "/_manifests/tags/" in str(path) else found.dangling
            which.append(str(path))

    def size(self) -> int:
        """Bytes of all committed blobs."""
        total = 0
        for path in self._blobs():
            with suppress(FileNotFoundError):
                total += os.stat(path).st_size
        return total

    def remains(self) -> dict[str, int]:
        """Files by what they are, the queue's and the record of the last sweep apart."""
        layout = self._layout
        trees = {
            "blobs": layout.blobs,
            "links and tags": layout.repositories,
            "references": layout.reference_index,
            "condemned blobs": layout.trash,
            "fills": layout.fills,
        }
        counts = {name: sum(1 for _ in _files(tree)) for name, tree in trees.items()}
        return {name: count for name, count in counts.items() if count}

    def leftovers(self) -> list[str]:
        """Spools, claims, members and files about to be renamed that nobody works on any more."""
        return [path for path in self._work() if not self._is_in_use(path)]

    def age(self, seconds: float) -> int:
        """Make the leftovers, the folders they lie in, and empty ones older; how many leftovers."""
        then = time.time() - seconds
        leftovers = self.leftovers()
        for path in [*leftovers, *self._empty()]:
            for aged in (path, os.path.dirname(path)):
                with suppress(FileNotFoundError):
                    os.utime(aged, (then, then))
        return len(leftovers)

    def overdue(self) -> list[str]:
        """Leftovers, and empty folders, older than their bound."""
        return [path for path in (*self._work(), *self._empty()) if _age(path) > BOUND]

    def _work(self) -> Iterator[str]:
        for tree in (self._layout.fills, self._layout.claims, self._layout.temporary):
            yield from _files(tree)

    def _empty(self) -> list[str]:
        """Folders of the trees with nothing in them."""
        layout = self._layout
        trees = (layout.registry, layout.fills, layout.claims, layout.reference_index)
        return [
            folder
            for tree in trees
            for folder, inner, names in os.walk(tree)
            if folder != tree and not inner and not names
        ]

    def _is_in_use(self, path: str) -> bool:
        """Whether a process that lives has a claim on it, or uses it as its clock."""
        if os.path.basename(path).startswith("clock."):
            return os.path.exists(f"/proc/{path.rsplit('.', 2)[1]}")
        return any(
            _has_owner(f"{os.path.dirname(path)}/claim.{generation}")
            for generation in generations(os.path.dirname(path))
        )

    def _blobs(self) -> Iterator[str]:
        return _files(self._layout.blobs)


def _files(tree: str) -> Iterator[str]:
    """Every file below `tree`; a folder that vanishes meanwhile is passed over."""
    for folder, _, names in os.walk(tree):
        for name in names:
            yield f"{folder}/{name}"


def _age(path: str) -> float:
    try:
        return time.time() - os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _has_owner(path: str) -> bool:
    with suppress(OSError), open(path, "rb") as file:
        owner = decode_owner(file.read())
        return owner is not None and not owner.is_dead()
    return False
