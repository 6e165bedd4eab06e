"""Everything in storage, one thing at a time.

All of it is generators over open folders: what a walk holds in memory does not grow with what is
stored. A folder that vanishes on the way is passed over. Any other failure goes through: a walk
that did not see everything must not be taken for one that did.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from common.digest import Digest
from common.errors import InvalidDigest, InvalidName
from common.messages import Kind
from common.paths import Layout
from common.reference import MAX_NAME, RepositoryName

OnEmpty = Callable[[str], object]
"""Told of each folder on the way that has nothing in it."""


def _ignore(_folder: str) -> None:
    pass


def entries(folder: str, on_empty: OnEmpty = _ignore) -> Iterator[os.DirEntry[str]]:
    """What is in `folder`; nothing when it is gone or no folder."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        is_empty = True
        for entry in found:
            is_empty = False
            yield entry
        if is_empty:
            on_empty(folder)


def repositories(layout: Layout, on_empty: OnEmpty = _ignore) -> Iterator[RepositoryName]:
    """Every repository, those inside the folder of another one too."""
    return _repositories(layout.repositories, "", on_empty)


def _repositories(folder: str, name: str, on_empty: OnEmpty) -> Iterator[RepositoryName]:
    told = False
    for entry in entries(folder, on_empty):
        if not entry.name.startswith("_"):
            inner = f"{name}/{entry.name}" if name else entry.name
            # Symbolic links are followed, as a reader would: the length of a name ends a circle.
            if len(inner) <= MAX_NAME:
                yield from _repositories(entry.path, inner, on_empty)
        elif not told:
            told = True
            with suppress(InvalidName):
                yield RepositoryName(name)


def links(
    layout: Layout,
    repository: RepositoryName,
    kinds: Iterable[Kind] = Kind,
    on_empty: OnEmpty = _ignore,
) -> Iterator[tuple[Kind, Digest]]:
    """Every link of a repository, the kinds in this order."""
    for kind in kinds:
        for algorithm in entries(layout.links(kind, repository), on_empty):
            for digest in _digests(algorithm, on_empty):
                yield kind, digest


def digests(folder: str, on_empty: OnEmpty = _ignore) -> Iterator[Digest]:
    """Every digest in a tree `<alg>/<2 hex>/<hex>`."""
    for algorithm in entries(folder, on_empty):
        for prefix in entries(algorithm.path, on_empty):
            for leaf in entries(prefix.path, on_empty):
                with suppress(InvalidDigest):
                    yield Digest(f"{algorithm.name}:{leaf.name}")


def _digests(algorithm: os.DirEntry[str], on_empty: OnEmpty) -> Iterator[Digest]:
    for leaf in entries(algorithm.path, on_empty):
        with suppress(InvalidDigest):
            yield Digest(f"{algorithm.name}:{leaf.name}")
