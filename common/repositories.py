"""The repositories that are cached, in order, without all of them in memory."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress

from common.errors import InvalidName
from common.paths import Layout
from common.reference import RepositoryName


def repositories(
    layout: Layout, after: str = "", *, below: str = "", but: Collection[str] = ()
) -> Iterator[RepositoryName]:
    """Names of repositories that hold manifests, those after `after`.

    With `below`, those alone whose name begins with that and a slash; those that so begin with one
    of `but` are left out, their folders not looked into.

    The order is that of the tree: by component, so that `a/b` comes before `a-b`, as in
    distribution's catalog (registry/storage/catalog.go). Folders are read as far as the caller
    goes; only the names in one folder are held at a time, for each level.
    """
    folder, prefix = layout.repositories, ""
    if below:
        folder, prefix = f"{folder}/{RepositoryName(below)}", f"{below}/"
        after = after.removeprefix(prefix) if after.startswith(prefix) else ""
    return _below(folder, prefix, after.split("/") if after else [], but)


def _below(
    folder: str, prefix: str, after: list[str], but: Collection[str]
) -> Iterator[RepositoryName]:
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
        if name not in but:
            yield from _below(inside, f"{name}/", after[1:] if on_the_way else [], but)


def _folders_in(folder: str) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        # A leading underscore is a registry's own folder, never a component of a name.
        return sorted(
            entry.name for entry in entries if not entry.name.startswith("_") and entry.is_dir()
        )
    return []
