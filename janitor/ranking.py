"""Candidates in their order, kept current between one survey and the next.

A survey puts all links in order, or as many of the oldest as memory is to hold. What arrives
afterwards is added, what is used again moves back. So the order holds for as long as anything is
left that is not newer than the `horizon`, the last of those a survey could keep; a cache that
turns over quickly needs no survey for that.
"""

import heapq
import threading
from collections.abc import Iterable

from common.digest import Digest
from common.reference import RepositoryName
from janitor.candidates import MOST, Candidate

_FEW = MOST // 5
_MOST_RANKED = 2 * MOST
_MOST_SPARED = 5 * MOST
_NEVER = float("inf")


class Ranking:
    """The candidates there are."""

    def __init__(self) -> None:
        """There are none."""
        self._lock = threading.Lock()
        self._heap: list[Candidate] = []
        self._horizon = _NEVER
        # Added while a survey runs, which may have passed there already.
        self._added: list[Candidate] = []
        # When a manifest that needs this layer was used, where that was told between surveys.
        self._spared: dict[tuple[RepositoryName, Digest], float] = {}

    @property
    def runs_low(self) -> bool:
        """Whether few are left, of more than could be kept."""
        return self._horizon < _NEVER and len(self._heap) < _FEW

    def begin(self) -> None:
        """A survey begins."""
        with self._lock:
            self._added = []

    def replace(self, candidates: list[Candidate]) -> None:
        """A survey has ended with these, in their order."""
        with self._lock:
            self._horizon = candidates[-1].used if len(candidates) >= MOST else _NEVER
            self._heap = candidates
            for candidate in self._added:
                self._push(candidate)
            self._added = []

    def add(self, candidate: Candidate) -> None:
        """A link was made, or found to have been used again."""
        with self._lock:
            if len(self._added) < MOST:
                self._added.append(candidate)
            self._push(candidate)

    def _push(self, candidate: Candidate) -> None:
        if len(self._heap) >= _MOST_RANKED:
            self._horizon = min(self._horizon, candidate.used)
        if candidate.used <= self._horizon and len(self._heap) < _MOST_RANKED:
            heapq.heappush(self._heap, candidate)

    def spare(self, repository: RepositoryName, layers: Iterable[Digest], used: float) -> None:
        """A manifest with these layers was used."""
        with self._lock:
            if len(self._spared) >= _MOST_SPARED:
                self._spared.clear()
            for layer in layers:
                self._spared[repository, layer] = max(used, self._spared_at(repository, layer))

    def pop(self, before: float) -> Candidate | None:
        """The first to go, if it was last used before that time (unix seconds)."""
        with self._lock:
            while self._heap and self._heap[0].used < before:
                candidate = heapq.heappop(self._heap)
                needed = self._spared_at(candidate.repository, candidate.digest)
                if not candidate.is_layer or needed <= candidate.used:
                    return candidate
                self._push(candidate._replace(used=needed))
        return None

    def _spared_at(self, repository: RepositoryName, layer: Digest) -> float:
        return self._spared.get((repository, layer), 0.0)
