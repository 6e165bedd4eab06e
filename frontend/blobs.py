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
        content: OpenBlob | Tail | None = self.open(source, parsed)
        if content is None:
            content = await self._fill(source, parsed)
        else:
            counting.BLOB_HITS[source.upstream].value += 1
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
        """How large the blob is; nothing is downloaded for that."""
        source = headers.source_of(self._services.naming, req, resp, name)
        parsed = parse_digest(digest)
        self._head(req, resp, parsed, await self._size(source, parsed))

    def open(self, source: Source, digest: Digest) -> OpenBlob | None:
        """The blob, if this repository has it and it is here; counts as a use."""
        services, repository = self._services, source.stored
        used = services.links.last_use(Kind.LAYER, repository, digest)
        if used is None:
            return None
        blob = services.blobs.open(digest)
        if blob is not None and is_older(used, services.terms[source.upstream].mark_interval):
            services.links.mark(Kind.LAYER, repository, digest)
        return blob

    async def _fill(self, source: Source, digest: Digest) -> OpenBlob | Tail:
        job = FetchBlob(source=source, digest=digest, request_id=headers.request_id())

        def look(_done: FillCommitted | None) -> OpenBlob | Tail | None:
            return self.open(source, digest) or self._services.tails.find(job)

        # A fill that runs is joined without a word to anyone.
        tail = self._services.tails.find(job)
        if tail is not None:
            counting.joined(job)
            return tail
        self._services.ahead.missed(source, digest)
        return await self._asking.fetch(job, look)

    async def _size(self, source: Source, digest: Digest) -> int:
        job = CheckBlob(source=source, digest=digest, request_id=headers.request_id())
        filled = FetchBlob(source=source, digest=digest)

        def look(done: FillCommitted | None) -> int | None:
            blob = self.open(source, digest)
            if blob is not None:
                return blob.size
            tail = self._services.tails.find(filled)
            if tail is not None:
                return tail.size
            return None if done is None else _told(done)

        size = look(None)
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


def _told(done: FillCommitted) -> int:
    if done.size is None:
        raise UpstreamError("the upstream does not tell how large the blob is", retryable=False)
    return done.size
