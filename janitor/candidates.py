"""What goes first when there is too much: the least recently used, by image.

A layer counts as used when it was, or when a manifest of its repository that lists it was: a
client that has the layer already asks for the manifest alone. So an image goes as a whole, tags
and manifest first, then the layers that no image used later needs; and no manifest is left
without its layers as long as something else could go.
"""

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import Tags
from janitor import walk
from janitor.contents import contents
from janitor.pace import Pace
from janitor.uses import Uses

# So many are kept in memory (some 10 MB). What is older than the newest of them is among them,
# so that they can be used up in their order for as long as they last.
MOST = 20_000


class Candidate(NamedTuple):
    """A link that may go; compared, the first to go is the smallest."""

    used: float  # unix seconds of the storage's clock
    is_layer: bool
    repository: RepositoryName
    digest: Digest
    tags: tuple[Tag, ...] = ()

    @property
    def kind(self) -> Kind:
        """How the repository links it."""
        return Kind.LAYER if self.is_layer else Kind.MANIFEST


class Candidates:
    """Finds them in one storage folder."""

    def __init__(self, layout: Layout, uses: Uses, tags: Tags, blobs: FileBlobStore) -> None:
        """Look at what is handed in."""
        self._layout = layout
        self._uses = uses
        self._tags = tags
        self._blobs = blobs

    def oldest(self, pace: Pace) -> list[Candidate]:
        """The first `MOST` to go, in their order.

        What is held meanwhile grows with what one repository's manifests list, not with the whole.
        """
        return heapq.nsmallest(MOST, self._all(pace))

    def _all(self, pace: Pace) -> Iterator[Candidate]:
        for repository in walk.repositories(self._layout):
            tagged = self._tagged(repository, pace)
            needed: dict[Digest, float] = {}
            for kind, digest in walk.links(self._layout, repository, (Kind.MANIFEST, Kind.LAYER)):
                pace.step()
                used = self._uses.of_link(kind, repository, digest)
                if used is None:
                    continue
                if kind is Kind.LAYER:
                    yield Candidate(max(used, needed.get(digest, 0.0)), True, repository, digest)
                    continue
                for part in contents(self._blobs, digest):
                    needed[part] = max(used, needed.get(part, 0.0))
                yield Candidate(used, False, repository, digest, tuple(tagged.get(digest, ())))

    def _tagged(self, repository: RepositoryName, pace: Pace) -> dict[Digest, list[Tag]]:
        tagged: dict[Digest, list[Tag]] = {}
        for tag in self._tags.names(repository):
            pace.step()
            if (stored := self._tags.read(repository, tag)) is not None:
                tagged.setdefault(stored.digest, []).append(tag)
        return tagged
