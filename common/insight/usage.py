"""How much is cached, found out within a given time."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass

from common import walk
from common.filesystem import free, occupied
from common.paths import Layout


@dataclass(frozen=True, slots=True)
class UsageFacts:
    """What a storage folder holds, in blobs and bytes.

    `is_estimate` where the time was over before all was counted: digests are spread evenly over
    the folders, so what some of them hold tells of the rest.
    """

    blobs: int
    size: int
    free: int
    is_estimate: bool


def usage(layout: Layout, seconds: float = 2.0) -> UsageFacts:
    """Count for `seconds` at most, or somewhat longer, until one folder of blobs is through."""
    deadline = time.monotonic() + seconds
    folders = [
        prefix.path
        for algorithm in walk.entries(layout.blobs)
        for prefix in walk.entries(algorithm.path)
    ]
    blobs = size = done = 0
    for folder in folders:
        for leaf in walk.entries(folder):
            with suppress(OSError):
                size += occupied(os.stat(f"{leaf.path}/data"))
                blobs += 1
        done += 1
        if time.monotonic() >= deadline:
            break
    share = len(folders) / done if done else 1
    return UsageFacts(
        round(blobs * share), round(size * share), _free(layout.root), done < len(folders)
    )


def _free(folder: str) -> int:
    with suppress(OSError):
        return free(folder)
    return 0
