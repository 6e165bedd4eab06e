"""Folders that others change while we look."""

import os
from pathlib import Path


def names_below(folder: Path | str) -> set[str]:
    """The names in `folder` and below. What goes meanwhile is told or not, where pathlib would raise."""
    return {name for _parent, folders, files in os.walk(folder) for name in (*folders, *files)}
