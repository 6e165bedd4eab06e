"""The upstreams that jobs may name, and what is asked of one.

A job carries an upstream's name and nothing else of it: whatever the queue says, only what this
machine's configuration lists is ever connected to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from common.digest import Digest
from common.errors import UpstreamError
from common.reference import RepositoryName, Tag
from common.rules import Rules
from common.source import DEFAULT_UPSTREAM, Source
from fetcher import conditions, watching
from fetcher.manners import Condition
from fetcher.taglists import Stretch


class Stream(Protocol):
    """A blob's bytes on their way here."""

    @property
    def offset(self) -> int:
        """Where in the blob the stream begins; 0 also when the upstream did not do the range."""

    @property
    def total(self) -> int | None:
        """The whole blob's size in bytes, None when the upstream does not tell."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they arrive; raises UpstreamError when they stop before the end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


class Document(Protocol):
    """A manifest as the upstream sent it."""

    @property
    def body(self) -> bytes:
        """Its bytes, as they came."""

    @property
    def digest(self) -> Digest:
        """Theirs."""


class AnyUpstream(Protocol):
    """What jobs ask of an upstream; every question may end in an UpstreamError."""

    @property
    def condition(self) -> Condition:
        """How things stand with it, as this process knows."""

    def head_blob(self, repository: RepositoryName, digest: Digest) -> int | None:
        """The blob's size in bytes, None when it is there but its size is not told."""

    def blob_size(self, repository: RepositoryName, digest: Digest) -> int:
        """The blob's size in bytes."""

    def open_blob(
        self,
        repository: RepositoryName,
        digest: Digest,
        *,
        offset: int = 0,
        total: int | None = None,
    ) -> Stream:
        """The blob from byte `offset` on, of a blob of `total` bytes where that is known."""

    def manifest(self, repository: RepositoryName, reference: Digest | Tag) -> Document:
        """The manifest, whose digest has been compared when asked for by one."""

    def head_manifest(
        self, repository: RepositoryName, tag: Tag, known: Digest | None = None
    ) -> Digest | None:
        """What the tag points to, None when the upstream does not tell without sending it."""

    def tags(self, repository: RepositoryName, after: Tag | None = None) -> Stretch:
        """The repository's tags, or those behind `after`; of a long list not all."""

    def referrers(self, repository: RepositoryName, subject: Digest) -> list[dict[str, Any]]:
        """Descriptors of what refers to a manifest."""


@dataclass(frozen=True, slots=True)
class Configured:
    """An upstream, the seconds that what came from it lives unused (None: for ever), what it may give."""

    upstream: AnyUpstream
    lifetime: float | None
    rules: Rules = field(default_factory=Rules)


class Upstreams:
    """The configured upstreams by name; the default one's name is empty."""

    def __init__(self, configured: Mapping[str, Configured]) -> None:
        """Take them all; nothing is asked yet."""
        self._configured = configured
        watching.know(configured)

    def find(self, source: Source) -> AnyUpstream:
        """Whom to ask about `source`.

        Raises UpstreamError: 404 for a name not configured here, 403 for what is not allowed here.
        """
        found = self._configured.get(source.upstream)
        if found is None or self._is_anothers(source):
            raise UpstreamError(
                "no upstream of that name is configured",
                status=404,
                code="NAME_UNKNOWN",
                retryable=False,
            )
        if found.rules and not found.rules.permit(source.repository):
            raise UpstreamError(
                "the configuration does not allow this repository",
                status=403,
                code="DENIED",
                retryable=False,
            )
        return found.upstream

    def _is_anothers(self, source: Source) -> bool:
        """Whether it would be stored where a named upstream's repository is: as `source` reads it."""
        first, slash, _ = source.repository.partition("/")
        return source.upstream == DEFAULT_UPSTREAM and bool(slash) and first in self._configured

    def tell_metrics(self) -> None:
        """Set the gauges of how things stand with each."""
        for name, configured in self._configured.items():
            conditions.tell(name, configured.upstream.condition)

    def lifetime(self, source: Source) -> float | None:
        """Seconds that content of `source` lives unused; None for ever, or not known here."""
        found = self._configured.get(source.upstream)
        return found.lifetime if found is not None else None

    def source(self, stored: RepositoryName) -> Source:
        """Where a stored repository comes from: the inverse of `Source.stored`."""
        upstream, slash, repository = stored.partition("/")
        if slash and upstream in self._configured:
            return Source(upstream, RepositoryName(repository))
        return Source(DEFAULT_UPSTREAM, stored)
