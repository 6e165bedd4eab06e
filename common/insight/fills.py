"""Downloads under way."""

import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from common import walk
from common.claims import Claims
from common.digest import Digest
from common.fills import Fill
from common.paths import Layout
from common.reference import RepositoryName


@dataclass(frozen=True, slots=True)
class FillFacts:
    """One blob on its way; sizes in bytes, `size` None while the upstream has not said it."""

    digest: Digest
    repositories: tuple[RepositoryName, ...]
    """Who gets it; none yet where the upstream has not answered for any."""
    received: int
    size: int | None
    is_held: bool
    """Whether a fetcher works on it; else it waits for one, with what was received."""


def fills(layout: Layout, claims: Claims, limit: int = 100) -> list[FillFacts]:
    """Up to `limit` of them, in no order; one that ends meanwhile may be missing or half seen."""
    digests = islice(walk.digests(layout.fills), limit)
    return [_look(layout, claims, digest) for digest in digests]


def _look(layout: Layout, claims: Claims, digest: Digest) -> FillFacts:
    fill = Fill(layout, digest)
    started = fill.started()
    spools = [started.spool] if started else [fill.spool(epoch) for epoch in fill.spools()]
    return FillFacts(
        digest,
        tuple(sorted(fill.members())),
        max(map(_length, spools), default=0),
        started.size if started else None,
        claims.is_held(fill.folder),
    )


def _length(path: str) -> int:
    with suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0
