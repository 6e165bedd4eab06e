"""FetchManifest and ResolveTag: manifests, and what tags point to."""

from collections.abc import Callable

from common import logs
from common.digest import Digest
from common.messages import FetchManifest, FillCommitted, Kind, ResolveTag
from common.reference import Tag
from common.source import Source
from fetcher.announcer import Announcer
from fetcher.patience import TRIES_WITH_FALLBACK, Patience
from fetcher.storage import Storage
from fetcher.upstreams import AnyUpstream, Document, Upstreams

log = logs.get(__name__)


class Manifests:
    """Runs them."""

    def __init__(
        self,
        storage: Storage,
        upstreams: Upstreams,
        announcer: Announcer,
        new_patience: Callable[[int | None], Patience],
    ) -> None:
        """`new_patience` takes the number of tries, None for as many as are configured."""
        self._storage = storage
        self._upstreams = upstreams
        self._announcer = announcer
        self._new_patience = new_patience

    def fetch(self, job: FetchManifest) -> FillCommitted:
        """Have the manifest linked; UpstreamError when the upstream does not have it."""
        if not self._storage.has(Kind.MANIFEST, job.source.stored, job.digest):
            upstream = self._upstreams.find(job.source)
            self._fetch(upstream, job.source, job.digest, self._new_patience(None))
        return FillCommitted(key=job.key)

    def resolve(self, job: ResolveTag) -> FillCommitted:
        """Have the tag point to what the upstream says now; UpstreamError when it does not say.

        The tag last, so that it never points to what is not there; what was stored before stays
        until then, and when this fails.
        """
        upstream = self._upstreams.find(job.source)
        known = self._known(job.source, job.tag)
        patience = self._new_patience(TRIES_WITH_FALLBACK if known else None)
        digest = self._resolve(upstream, job.source, job.tag, known, patience)
        self._storage.tags.point(job.source.stored, job.tag, digest)
        if digest != known:
            log.info("tag moved", repository=job.source.stored, tag=job.tag, digest=digest)
            self._announcer.tag_expires(job.source, job.tag)
        return FillCommitted(key=job.key)

    def _known(self, source: Source, tag: Tag) -> Digest | None:
        """What the tag points to, if that could be served."""
        stored = self._storage.tags.read(source.stored, tag)
        if stored and self._storage.has(Kind.MANIFEST, source.stored, stored.digest):
            return stored.digest
        return None

    def _resolve(
        self,
        upstream: AnyUpstream,
        source: Source,
        tag: Tag,
        known: Digest | None,
        patience: Patience,
    ) -> Digest:
        digest = patience.ask(lambda: upstream.head_manifest(source.repository, tag, known))
        if digest is None:
            document = patience.ask(lambda: upstream.manifest(source.repository, tag))
            self._store(source, document)
            return document.digest
        if digest != known and not self._storage.has(Kind.MANIFEST, source.stored, digest):
            # By digest: the tag may move between two questions, and a pull by tag may be counted.
            self._fetch(upstream, source, digest, patience)
        return digest

    def _fetch(
        self, upstream: AnyUpstream, source: Source, digest: Digest, patience: Patience
    ) -> None:
        self._store(source, patience.ask(lambda: upstream.manifest(source.repository, digest)))

    def _store(self, source: Source, document: Document) -> None:
        """Store and link a manifest; see common.links for the order, Commit for the reason."""
        self._storage.links.refer(Kind.MANIFEST, source.stored, document.digest)
        self._storage.blobs.put(document.digest, document.body)
        self._storage.link(Kind.MANIFEST, source.stored, document.digest)
        self._announcer.link_expires(source, document.digest, Kind.MANIFEST)
