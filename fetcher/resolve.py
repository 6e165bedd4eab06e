"""FetchManifest and ResolveTag: manifests, and what tags point to."""

from collections.abc import Callable

from common import logs
from common.digest import Digest
from common.durable import syncing_together
from common.messages import FetchManifest, FillCommitted, Kind, ResolveTag
from common.reference import Tag
from common.source import Source
from fetcher.announcer import Announcer
from fetcher.leases import Lease
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
            document = _by_digest(upstream, job.source, job.digest, self._new_patience(None))
            with syncing_together():
                self._store(job.source, document)
        return FillCommitted(key=job.key)

    def resolve(self, job: ResolveTag, lease: Lease) -> FillCommitted:
        """Have the tag point to what the upstream says now; UpstreamError when it does not say.

        The tag last, so that it never points to what is not there; what was stored before stays
        until then, and when this fails. Raises LeaseLost when somebody else resolves it by now.
        """
        upstream = self._upstreams.find(job.source)
        known = self._known(job.source, job.tag)
        patience = self._new_patience(TRIES_WITH_FALLBACK if known else None)
        digest, document = self._resolve(upstream, job.source, job.tag, known, patience)
        with syncing_together():
            if document is not None:
                self._store(job.source, document)
            # Content is the same whoever stores it, a tag is not: after a sleep ours is an old one.
            lease.confirm()
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
    ) -> tuple[Digest, Document | None]:
        """What the tag points to, and the manifest where it is not here yet."""
        digest = patience.ask(lambda: upstream.head_manifest(source.repository, tag, known))
        if digest is None:
            document = patience.ask(lambda: upstream.manifest(source.repository, tag))
            return document.digest, document
        if digest == known or self._storage.has(Kind.MANIFEST, source.stored, digest):
            return digest, None
        # By digest: the tag may move between two questions, and a pull by tag may be counted.
        return digest, _by_digest(upstream, source, digest, patience)

    def _store(self, source: Source, document: Document) -> None:
        """Store and link a manifest; see common.links for the order, Commit for the reason."""
        self._storage.links.refer(Kind.MANIFEST, source.stored, document.digest)
        self._storage.blobs.put(document.digest, document.body)
        self._storage.link(Kind.MANIFEST, source.stored, document.digest)
        self._announcer.link_expires(source, document.digest, Kind.MANIFEST)


def _by_digest(
    upstream: AnyUpstream, source: Source, digest: Digest, patience: Patience
) -> Document:
    return patience.ask(lambda: upstream.manifest(source.repository, digest))
