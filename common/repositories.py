"""The repositories that are cached, in order, without all of them in memory."""

import os
from collections.abc import Iterator
from contextlib import suppress

from common.errors import InvalidName
from common.paths import Layout
from common.reference import RepositoryName


def repositories(layout: Layout, after: str = "") -> Iterator[RepositoryName]:
    """Names of repositories that hold manifests, those after `after`.

    The order is that of the tree: by component, so that `a/b` comes before `a-b`, as in
    distribution's catalog (registry/storage/catalog.go). Folders are read as far as the caller
    goes; only the names in one folder are held at a time, for each level.
    """
    return _below(layout.repositories, "", after.split("/") if after else [])


def _below(folder: str, prefix: str, after: list[str]) -> Iterator[RepositoryName]:
    """Those in `folder`; `after` is what is left of the name they must follow."""
    for component in _folders_in(folder):
        if after and component < after[0]:
            continue
        on_the_way = bool(after) and component == after[0]
        try:
            name = RepositoryName(prefix + component)
        except InvalidName:  # not of a registry's making
            continue
        inside = f"{folder}/{component}"
        if not on_the_way and os.path.isdir(f"{inside}/_manifests"):
            yield name
        yield from _below(inside, f"{name}/", after[1:] if on_the_way else [])


def _folders_in(folder: str) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        # A leading underscore is a registry's own folder, never a component of a name.
        return sorted(
            entry.name for entry in entries if not entry.name.startswith("_") and entry.is_dir()
        )
    return []
