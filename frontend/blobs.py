"""Blobs: from storage, or from the fill while it runs."""

from functools import partial

import falcon
import falcon.asgi

from common.blobstore import OpenBlob
from common.digest import Digest, parse_digest
from common.errors import UpstreamError
from common.links import is_older
from common.messages import CheckBlob, FetchBlob, FillCommitted, Kind
from common.source import Source
from frontend import counting, headers, stream
from frontend.asking import Asking
from frontend.contents import Content
from frontend.found import Found, taken
from frontend.ranges import Span, UnsatisfiableRange, requested_span
from frontend.services import Services
from frontend.tails import Tail


class Blobs:
    """`/v2/<name>/blobs/<digest>`."""

    def __init__(self, services: Services, patience: float) -> None:
        """Have clients wait up to `patience` seconds for headers."""
        self._services = services
        self._asking = Asking(services.desk, services.refusals, patience)

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str, digest: str
    ) -> None:
        """The blob, or a part of it."""
        source = headers.source_of(self._services.naming, req, resp, name)
        parsed = parse_digest(digest)
        content: OpenBlob | Tail | None = self.open(source, parsed, taken(req))
        if content is None:
            content = await self._fill(source, parsed)
        else:
            counting.BLOB_HITS[source.upstream].value += 1
        if isinstance(content, Tail) and _lies_outside(req, parsed, content.size):
            content = await self._committed(source, parsed)
        span = self._head(req, resp, parsed, content.size)
        if span is None:
            return
        if isinstance(content, Tail):
            resp.stream = stream.of_tail(content, span)
        else:
            damaged = partial(self._services.blobs.quarantine, parsed)
            resp.stream = stream.of_blob(content, span, damaged)

    async def on_head(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str, digest: str
    ) -> None:
        """How large the blob is; nothing is downloaded for that.

        While it is not here, that is what the upstream says. Ranges are of GET alone (RFC 9110,
        section 14.2).
        """
        source = headers.source_of(self._services.naming, req, resp, name)
        parsed = parse_digest(digest)
        size = await self._size(source, parsed, taken(req))
        headers.describe_blob(resp, parsed)
        if headers.is_known(req, parsed):
            resp.status = falcon.HTTP_304
        else:
            resp.content_length = size

    def open(self, source: Source, digest: Digest, found: Found | None = None) -> OpenBlob | None:
        """The blob, if this repository has it and it is here; counts as a use.

        `found` is what was looked up of it already.
        """
        services, repository = self._services, source.stored
        if found is not None and not isinstance(found.content, Content):
            used, blob = found.used, found.content
        else:
            used = services.links.last_use(Kind.LAYER, repository, digest)
            blob = None if used is None else services.blobs.open(digest)
        if used is None or blob is None:
            return None
        if is_older(used, services.terms[source.upstream].mark_interval):
            services.links.mark(Kind.LAYER, repository, digest)
        return blob

    async def _fill(self, source: Source, digest: Digest) -> OpenBlob | Tail:
        job = FetchBlob(source=source, digest=digest, request_id=headers.request_id())

        async def look(_done: FillCommitted | None) -> OpenBlob | Tail | None:
            return self.open(source, digest) or self._services.tails.find(job)

        # A fill that runs is joined without a word to anyone.
        tail = self._services.tails.find(job)
        if tail is not None:
            counting.joined(job)
            return tail
        self._services.ahead.missed(source, digest)
        return await self._asking.fetch(job, look)

    async def _committed(self, source: Source, digest: Digest) -> OpenBlob:
        """The blob, once its size is beyond doubt: a fill's is only what the upstream says."""
        job = FetchBlob(source=source, digest=digest, request_id=headers.request_id())

        async def look(_done: FillCommitted | None) -> OpenBlob | None:
            return self.open(source, digest)

        return await self._asking.fetch(job, look)

    async def _size(self, source: Source, digest: Digest, found: Found | None) -> int:
        job = CheckBlob(source=source, digest=digest, request_id=headers.request_id())
        filled = FetchBlob(source=source, digest=digest)

        def known(found: Found | None = None) -> int | None:
            here = self.open(source, digest, found) or self._services.tails.find(filled)
            return None if here is None else here.size

        async def look(done: FillCommitted | None) -> int | None:
            size = known()
            return _told(done) if size is None and done is not None else size

        size = known(found)
        if size is not None:
            counting.BLOB_HITS[source.upstream].value += 1
            return size
        return await self._asking.fetch(job, look)

    def _head(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, digest: Digest, size: int
    ) -> Span | None:
        """Write status and headers; the bytes to send, None for none."""
        headers.describe_blob(resp, digest)
        if headers.is_known(req, digest):
            resp.status = falcon.HTTP_304
            return None
        try:
            span = requested_span(headers.wanted_range(req, digest), size)
        except UnsatisfiableRange:
            raise falcon.HTTPRangeNotSatisfiable(size) from None
        if span is not None:
            resp.status = falcon.HTTP_206
            resp.set_header("Content-Range", f"bytes {span.start}-{span.end - 1}/{size}")
        else:
            span = Span(0, size)
        resp.content_length = span.end - span.start
        return span


def _lies_outside(req: falcon.asgi.Request, digest: Digest, size: int) -> bool:
    """Whether no part of `size` bytes is what is asked for."""
    if headers.is_known(req, digest):
        return False
    try:
        requested_span(headers.wanted_range(req, digest), size)
    except UnsatisfiableRange:
        return True
    return False


def _told(done: FillCommitted) -> int:
    if done.size is None:
        raise UpstreamError("the upstream does not tell how large the blob is", retryable=False)
    return done.size
