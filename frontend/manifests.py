"""Manifests: by digest like blobs, by tag as fresh as `tagttl` asks."""

from dataclasses import dataclass, replace
from http import HTTPStatus

import falcon
import falcon.asgi

from common.blobstore import OpenBlob
from common.digest import Digest, parse_digest
from common.errors import UpstreamError
from common.links import is_fresh, is_older
from common.mediatypes import INDEXES, SCHEMA_1, SCHEMA_1_REFUSED
from common.messages import FetchManifest, FillCommitted, Kind, ResolveTag
from common.reference import Tag
from common.source import Source
from common.tags import StoredTag
from frontend import counting, headers, negotiation
from frontend.asking import Asking
from frontend.desk import Look
from frontend.found import Found, taken
from frontend.services import Services

# OCI distribution-spec, "Pushing manifests": registries take at least 4 MiB, and seldom more.
MAX_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest to be served.

    `stale` when the upstream could not be asked about its tag, `came` when it was asked for it.
    """

    digest: Digest
    media_type: str
    body: bytes
    stale: bool = False
    came: bool = False


class Manifests:
    """`/v2/<name>/manifests/<reference>`."""

    def __init__(self, services: Services, patience: float) -> None:
        """Have clients wait up to `patience` seconds."""
        self._services = services
        self._asking = Asking(services.desk, services.refusals, patience)

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str, reference: str
    ) -> None:
        """The manifest."""
        manifest = await self._find(req, resp, name, reference)
        if headers.is_known(req, manifest.digest):
            resp.status = falcon.HTTP_304
        else:
            resp.data = manifest.body
            counting.MANIFEST_BYTES.value += len(manifest.body)

    async def on_head(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str, reference: str
    ) -> None:
        """What the manifest is, without it."""
        manifest = await self._find(req, resp, name, reference)
        if headers.is_known(req, manifest.digest):
            resp.status = falcon.HTTP_304
        else:
            resp.content_length = len(manifest.body)

    async def _find(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str, reference: str
    ) -> Manifest:
        source = headers.source_of(self._services.naming, req, resp, name)
        already = taken(req)
        if ":" in reference:
            manifest = await self._by_digest(source, parse_digest(reference), already)
        else:
            manifest = await self._by_tag(source, Tag(reference), already)
            image = _image_instead(req, manifest)
            if image is not None:
                found = await self._by_digest(source, image)
                manifest = replace(found, stale=manifest.stale)
        if manifest.media_type in SCHEMA_1:  # of a folder that another registry filled
            raise UpstreamError(
                SCHEMA_1_REFUSED,
                status=HTTPStatus.NOT_FOUND,
                code="MANIFEST_UNKNOWN",
                retryable=False,
            )
        if manifest.came:
            self._services.ahead.came(
                source,
                manifest.digest,
                manifest.media_type,
                manifest.body,
                wanted=req.method == "GET",
            )
        headers.describe(resp, manifest.digest, manifest.media_type)
        if manifest.stale:
            headers.mark_stale(resp)
        return manifest

    async def _by_digest(
        self, source: Source, digest: Digest, already: Found | None = None
    ) -> Manifest:
        found = await self._load(source, digest, already)
        if found is not None:
            counting.MANIFEST_HITS[source.upstream].value += 1
            return found
        job = FetchManifest(source=source, digest=digest, request_id=headers.request_id())

        async def look(_done: FillCommitted | None) -> Manifest | None:
            return await self._load(source, digest)

        return replace(await self._asking.fetch(job, look), came=True)

    async def _by_tag(self, source: Source, tag: Tag, already: Found | None) -> Manifest:
        stored = self._services.tags.read(source.stored, tag) if already is None else already.tag
        held = None if stored is None else await self._load(source, stored.digest, already)
        if stored is not None and held is not None and self._is_fresh(source, stored):
            self._mark(source, tag, stored)
            counting.MANIFEST_HITS[source.upstream].value += 1
            return held
        manifest = await self._resolve(source, tag, stored, held)
        if stored is not None:
            # Confirmed, moved, or served stale: it was used all the same.
            self._mark(source, tag, stored)
        return manifest

    async def _resolve(
        self, source: Source, tag: Tag, stored: StoredTag | None, held: Manifest | None
    ) -> Manifest:
        job = ResolveTag(source=source, tag=tag, request_id=headers.request_id())
        look = self._resolution(source, tag, stored)
        manifest, stale = await self._asking.ask(job, look, held)
        came = held is None or held.digest != manifest.digest
        return replace(manifest, stale=stale, came=came)

    def _resolution(self, source: Source, tag: Tag, before: StoredTag | None) -> Look[Manifest]:
        confirmed_before = 0.0 if before is None else before.confirmed

        async def look(done: FillCommitted | None) -> Manifest | None:
            stored = self._services.tags.read(source.stored, tag)
            # By the change of the stamp, not by the clock: ours may differ from the storage's.
            if stored is None or (done is None and stored.confirmed == confirmed_before):
                return None
            return await self._load(source, stored.digest)

        return look

    async def _load(
        self, source: Source, digest: Digest, already: Found | None = None
    ) -> Manifest | None:
        services, repository = self._services, source.stored
        if already is None:
            used = services.links.last_use(Kind.MANIFEST, repository, digest)
            content = None if used is None else services.contents.get(digest)
        else:
            used, content = already.used, already.content
        if isinstance(content, OpenBlob):
            content = await services.contents.wait_for(digest, MAX_MANIFEST)
        if used is None or content is None:
            return None
        if is_older(used, services.terms[source.upstream].mark_interval):
            services.links.mark(Kind.MANIFEST, repository, digest)
        return Manifest(digest, content.media_type, content.body)

    def _is_fresh(self, source: Source, stored: StoredTag) -> bool:
        return is_fresh(stored.confirmed, self._services.terms[source.upstream].tagttl)

    def _mark(self, source: Source, tag: Tag, stored: StoredTag) -> None:
        if is_older(stored.used, self._services.terms[source.upstream].mark_interval):
            self._services.tags.mark(source.stored, tag)


def _image_instead(req: falcon.asgi.Request, manifest: Manifest) -> Digest | None:
    if manifest.media_type not in INDEXES:
        return None
    accept = req.get_header("Accept")
    return negotiation.image_instead(manifest.body, manifest.media_type, accept)
