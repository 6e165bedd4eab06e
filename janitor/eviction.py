"""Making room: candidates go in their order, each looked at once more before it does."""

import os
import time
from collections.abc import Callable

from common import logs
from common.blobstore import FileBlobStore
from common.claims import Claims
from common.digest import Digest
from common.filesystem import occupied
from common.links import Links
from common.metrics.catalogue import EVICTED, EVICTIONS
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import Tags
from janitor.candidates import Candidate
from janitor.contents import contents
from janitor.ranking import Ranking
from janitor.serving import is_being_read
from janitor.vacuum import Vacuum

_log = logs.get(__name__)


class Eviction:
    """Removes what was used least recently from one storage folder."""

    def __init__(
        self,
        layout: Layout,
        links: Links,
        tags: Tags,
        blobs: FileBlobStore,
        claims: Claims,
        vacuum: Vacuum,
        ranking: Ranking,
        *,
        just_used: float,
    ) -> None:
        """Leave alone what was used in the last `just_used` seconds."""
        self._layout = layout
        self._links = links
        self._tags = tags
        self._blobs = blobs
        self._claims = claims
        self._vacuum = vacuum
        self._ranking = ranking
        self._just_used = just_used

    def make_room(self, wanted: int, *, after: Callable[[], None] = lambda: None) -> int:
        """Condemn what is least recently used until `wanted` bytes are; how many were.

        Fewer when the candidates run out, or all that is left was used a moment ago. `after` is
        called whenever some more are condemned.
        """
        condemned, links = 0, 0
        before, began = self._claims.now() - self._just_used, time.monotonic()
        while condemned < wanted and (candidate := self._ranking.pop(before)) is not None:
            size = self._evict(candidate)
            if size is not None:
                EVICTIONS.of(candidate.kind.value).add()
            if size:
                EVICTED.of().add(size)
                condemned += size
                after()
            links += size is not None
        if links:
            took = round(time.monotonic() - began, 3)
            _log.info("room made", links=links, bytes=condemned, seconds=took)
        return condemned

    def _evict(self, candidate: Candidate) -> int | None:
        """The bytes condemned with the link; None when it stays."""
        used, _, repository, digest, tags = candidate
        last_use = self._links.last_use(candidate.kind, repository, digest)
        if last_use is None:
            return None
        if last_use > used:
            self._keep(candidate, last_use)
            return None
        # An open file takes up its space until it is closed: to remove it would gain nothing.
        if is_being_read(self._layout.blob(digest)):
            self._keep(candidate, self._claims.now())
            return None
        size = self._size(digest)
        if not self._vacuum.remove_link(candidate.kind, repository, digest, last_use=last_use):
            return None
        self._remove_tags(repository, digest, tags)
        return size if self._blobs.size(digest) is None else 0

    def _keep(self, candidate: Candidate, used: float) -> None:
        self._ranking.add(candidate._replace(used=used))
        if not candidate.is_layer:
            layers = contents(self._blobs, candidate.digest)
            self._ranking.spare(candidate.repository, layers, used)

    def _remove_tags(
        self, repository: RepositoryName, digest: Digest, tags: tuple[Tag, ...]
    ) -> None:
        for tag in tags:
            stored = self._tags.read(repository, tag)
            if stored is not None and stored.digest == digest:
                self._tags.remove(repository, tag)

    def _size(self, digest: Digest) -> int:
        try:
            return occupied(os.stat(self._layout.blob(digest)))
        except FileNotFoundError:
            return 0
