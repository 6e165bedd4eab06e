"""Last uses, none of which lies in the future.

A clock that ran ahead for a while leaves marks that are to come: such content would neither expire
nor be evicted until then, used or not. Whoever walks over everything marks it as used now.
"""

import time
from collections.abc import Callable

from common.digest import Digest
from common.links import Links
from common.messages import Kind
from common.reference import RepositoryName, Tag
from common.tags import StoredTag, Tags

# Seconds that clocks of machines may be apart.
_SLACK = 60.0


class Uses:
    """The last uses in one storage folder; `now` is the storage's clock."""

    def __init__(self, links: Links, tags: Tags, now: Callable[[], float]) -> None:
        """Look at what is handed in."""
        self._links = links
        self._tags = tags
        self._now = now

    def of_link(self, kind: Kind, repository: RepositoryName, digest: Digest) -> float | None:
        """As `Links.last_use`."""
        used = self._links.last_use(kind, repository, digest)
        if used is None or not self._is_to_come(used):
            return used
        self._links.mark(kind, repository, digest)
        return self._links.last_use(kind, repository, digest)

    def of_tag(self, repository: RepositoryName, tag: Tag) -> StoredTag | None:
        """As `Tags.read`."""
        stored = self._tags.read(repository, tag)
        if stored is None or not self._is_to_come(stored.used):
            return stored
        self._tags.mark(repository, tag)
        return self._tags.read(repository, tag)

    def _is_to_come(self, stamp: float) -> bool:
        # Our own clock first: the storage's is a question to the file server.
        return stamp - time.time() > _SLACK and stamp - self._now() > _SLACK
