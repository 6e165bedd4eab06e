"""One upstream registry, as the rest of the fetcher sees it."""

from collections.abc import Sequence
from typing import Any

from common.digest import Digest
from common.reference import RepositoryName, Tag
from fetcher import blobs, manifests, referrers, taglists
from fetcher.ahead import Ahead, memory
from fetcher.blobs import BlobStream
from fetcher.growth import Growth
from fetcher.manifests import MANIFEST_TYPES, Manifest
from fetcher.manners import Condition
from fetcher.ranges import Part
from fetcher.registry import Registry
from fetcher.rest import Rest
from fetcher.segments import Segments
from fetcher.settings import UpstreamSettings
from fetcher.taglists import Stretch
from fetcher.urgency import is_urgent

__all__ = ["MANIFEST_TYPES", "BlobStream", "Manifest", "Upstream", "UpstreamSettings"]


class Upstream:
    """A configured upstream; thread-safe, connections and tokens are shared by all threads.

    Every method raises UpstreamError, whose facts follow `answers.refusal`, and nothing else.
    None of them tries again by itself, beyond a connection that had gone stale and a token that
    had run out: `retryable` says whether the caller should. Each call begins at the registry's
    own URL, never at one that a redirect gave before; the parts of one blob within one call go
    where the first of them was led, as long as that answers.
    """

    def __init__(
        self, settings: UpstreamSettings, rest: Rest | None = None, ahead: Ahead | None = None
    ) -> None:
        """Connects to nothing yet. `rest` is where others tell that it wants to be left alone.

        `ahead` is the memory that this upstream's downloads share with others'.

        Raises ValueError when `remoteurl` is no plain http or https URL, a realm or redirect host
        no host, or a file with an account no text; OSError when such a file, or `cafile`, cannot
        be read.
        """
        self._registry = Registry(settings, rest)
        self._settings = settings
        self._ahead = ahead or Ahead(memory(settings.segments, settings.segment_size))

    @property
    def condition(self) -> Condition:
        """How things stand with it, as this process knows."""
        return self._registry.manners.condition

    def close(self) -> None:
        """Close the connections that are idle; the others as they become so."""
        self._registry.close()

    def head_blob(self, repository: RepositoryName, digest: Digest) -> int | None:
        """The size in bytes of a blob that `repository` has; None if the upstream does not tell."""
        with self._registry.visit():
            return blobs.head(self._registry, repository, digest)

    def blob_size(self, repository: RepositoryName, digest: Digest) -> int:
        """As `head_blob`, but where that does not tell a size a GET does; nothing is downloaded."""
        with self._registry.visit():
            return blobs.size(self._registry, repository, digest)

    def open_blob(
        self,
        repository: RepositoryName,
        digest: Digest,
        *,
        offset: int = 0,
        total: int | None = None,
    ) -> BlobStream | Segments:
        """The bytes of a blob, from `offset` on if the upstream can, else from the start.

        A large blob comes by several connections where that is faster (see `segments`) and
        somebody waits, also when that begins to be so on the way.

        `total` is the blob's size where it is known already; an upstream that tells another
        is in error (retryable). Read the stream's `offset` to know which it is: a part counts
        only when its Content-Range begins where asked and tells the right total.
        """
        if not self._may_split():
            return blobs.open_at(self._registry, repository, digest, Part(offset), total)
        size = self._settings.segment_size
        # Half of one: the sooner it is known how fast it comes, and the next may begin.
        part = Part(offset, offset + max(1, size // 2))
        first = blobs.open_at(self._registry, repository, digest, part, total)
        if first.end is None or first.total is None or first.end >= first.total:
            return first
        growth = Growth(self._most_connections, telling=size // 4)
        return Segments(first, first.end, first.total, self._ahead, growth, size)

    def _may_split(self) -> bool:
        return self._settings.segments > 1 and not self._registry.manners.spares.are_withheld

    def _most_connections(self) -> int:
        """For one blob: what nobody waits for has no more than it needs."""
        return self._settings.segments if is_urgent() else 1

    def manifest(
        self,
        repository: RepositoryName,
        reference: Digest | Tag,
        accept: Sequence[str] = MANIFEST_TYPES,
    ) -> Manifest:
        """A manifest of at most MANIFEST_BYTES.

        Asked for by digest its bytes match that, by tag they match Docker-Content-Digest where
        the upstream sends one; when they do not, the error is retryable.
        """
        with self._registry.visit():
            return manifests.get(self._registry, repository, reference, accept)

    def head_manifest(
        self, repository: RepositoryName, tag: Tag, known: Digest | None = None
    ) -> Digest | None:
        """The digest `tag` points to now, without its manifest.

        `known` is what it pointed to before, returned when the upstream says it is unchanged.
        None when the upstream does not tell a digest, or knows no HEAD: then get the manifest.
        """
        with self._registry.visit():
            return manifests.head(self._registry, repository, tag, known)

    def tags(self, repository: RepositoryName, after: Tag | None = None) -> Stretch:
        """The tags, or those behind `after`, each once; names that are no valid tags are left out.

        In the upstream's order. Where that is ASCII's, a long list's first part is told alone.
        """
        with self._registry.visit():
            return taglists.tags_after(self._registry, repository, after)

    def referrers(self, repository: RepositoryName, subject: Digest) -> list[dict[str, Any]]:
        """Descriptors of all that refers to the manifest `subject`, in the upstream's order.

        From the referrers API, or else from the tag that stands in for it; of descriptors only
        those are told that name content which could be pulled.
        """
        with self._registry.naming():
            return referrers.all_referrers(self._registry, repository, subject)
