"""What is cached, by repository.

Sizes are of what a repository links; a blob that several link counts in each of them, though it is
stored once.
"""

import heapq
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from common import walk
from common.blobstore import FileBlobStore
from common.digest import Digest
from common.errors import ContentMismatch
from common.insight.manifests import LARGEST, Described, described
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.repositories import repositories
from common.tags import Tags


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """One repository in numbers; `used` in unix seconds of the storage's clock, None: not known."""

    name: RepositoryName
    tags: int
    manifests: int
    size: int
    used: float | None
    is_partial: bool
    """Whether it has more links than were looked at."""


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """A manifest of a repository; an index's size is that of its images that are here."""

    digest: Digest
    media_type: str
    size: int
    platforms: tuple[str, ...]
    used: float | None
    is_here: bool


@dataclass(frozen=True, slots=True)
class TagFacts:
    """A tag, and what it points to; when it was last used and last confirmed by the upstream."""

    tag: Tag
    manifest: ManifestFacts
    used: float
    confirmed: float


@dataclass(frozen=True, slots=True)
class Names:
    """A page of repositories; `last` is the last name looked at, where there may be more behind it.

    `is_cut`: the time was over before the page was full.
    """

    found: tuple[RepositoryName, ...]
    last: str
    is_cut: bool


def page_of(names: Iterable[RepositoryName], matching: str, *, limit: int, seconds: float) -> Names:
    """Up to `limit` names that contain `matching`, of those looked at within `seconds`."""
    deadline = time.monotonic() + seconds
    found: list[RepositoryName] = []
    for name in names:
        if matching in name:
            found.append(name)
        if len(found) == limit:
            return Names(tuple(found), name, is_cut=False)
        if time.monotonic() >= deadline:
            return Names(tuple(found), name, is_cut=True)
    return Names(tuple(found), "", is_cut=False)


class Catalog:
    """Looks into one storage folder; changes nothing, not even last uses."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout
        self._links = Links(layout)
        self._tags = Tags(layout)
        self._blobs = FileBlobStore(layout)

    def names(self, *, after: str = "", matching: str = "") -> Iterator[RepositoryName]:
        """Names that follow `after` and contain `matching`, in order; see common.repositories."""
        return (name for name in repositories(self._layout, after) if matching in name)

    def repository(self, name: RepositoryName, most: int = 100_000) -> RepositoryFacts:
        """The numbers of one, by `most` of its links."""
        size, manifests, looked_at = 0, 0, 0
        used: float | None = None
        for kind, digest in islice(walk.links(self._layout, name), most + 1):
            looked_at += 1
            if looked_at > most:
                break
            manifests += kind is Kind.MANIFEST
            size += self._size(digest)
            last = self._links.last_use(kind, name, digest)
            used = last if used is None else max(used, last or used)
        tags = sum(1 for _ in walk.entries(self._layout.tags(name)))
        return RepositoryFacts(name, tags, manifests, size, used, looked_at > most)

    def tags(self, name: RepositoryName, *, after: str = "", limit: int = 1000) -> list[TagFacts]:
        """Up to `limit` tags that follow `after`, in order."""
        following = (tag for tag in self._tags.names(name) if tag > after)
        return [
            TagFacts(tag, self.manifest(name, stored.digest), stored.used, stored.confirmed)
            for tag in islice(following, limit)
            if (stored := self._tags.read(name, tag)) is not None
        ]

    def manifests(
        self, name: RepositoryName, limit: int = 1000, *, after: str = ""
    ) -> list[ManifestFacts]:
        """Up to `limit` of its manifests that follow the digest `after`, in order."""
        linked = walk.links(self._layout, name, (Kind.MANIFEST,))
        following = heapq.nsmallest(limit, (digest for _, digest in linked if digest > after))
        return [self.manifest(name, digest) for digest in following]

    def manifest(self, name: RepositoryName, digest: Digest) -> ManifestFacts:
        """One of them, which may be gone by now."""
        body = self._read(digest)
        said = described(body) if body else Described("")
        here = [
            child for child in said.children if self._links.has(Kind.MANIFEST, name, child.digest)
        ]
        used = self._links.last_use(Kind.MANIFEST, name, digest)
        size = said.size + sum(self._image_size(child.digest) for child in here)
        return ManifestFacts(
            digest,
            said.media_type,
            size + len(body or b""),
            tuple(child.platform for child in here if child.platform),
            used,
            used is not None and body is not None,
        )

    def described(self, digest: Digest) -> Described:
        """What a manifest says; of one that is not here, or none, nothing."""
        return described(self._read(digest) or b"")

    def _image_size(self, digest: Digest) -> int:
        body = self._read(digest) or b""
        return len(body) + described(body).size

    def _read(self, digest: Digest) -> bytes | None:
        with suppress(OSError, ContentMismatch):
            return self._blobs.read(digest, LARGEST)
        return None

    def _size(self, digest: Digest) -> int:
        with suppress(OSError):
            return os.stat(self._layout.blob(digest)).st_size
        return 0
