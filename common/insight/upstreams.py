"""Which upstreams want to be left alone, as far as storage tells (fetcher.rest writes it).

Whether a fetcher's own patience with an upstream is at an end is known to that process alone.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from common.paths import Layout


@dataclass(frozen=True, slots=True)
class UpstreamFacts:
    """An upstream by its configured name, and the seconds it is still left alone; 0: it is asked."""

    name: str
    rests: float


def upstreams(layout: Layout, names: Iterable[str]) -> list[UpstreamFacts]:
    """All of `names`, in this order."""
    now = time.time()
    return [UpstreamFacts(name, max(0.0, _until(layout.upstream(name)) - now)) for name in names]


def _until(path: str) -> float:
    with suppress(OSError, ValueError, TypeError, KeyError), open(path, "rb") as file:
        return float(json.load(file)["until"])
    return 0.0
