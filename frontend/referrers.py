"""Referrers: what the upstream lists about a manifest, while it answers; else what was last heard."""

import asyncio
import json
import time
from collections import OrderedDict

import falcon.asgi

from common.digest import Digest, parse_digest
from common.links import is_fresh
from common.mediatypes import OCI_INDEX
from common.messages import FillCommitted, ListReferrers
from common.referrers import Listed, index_of
from common.source import Source
from frontend import headers
from frontend.asking import Asking
from frontend.services import Services

_NONE = Listed(index_of([]), 0.0)
_MOST_SILENT = 4096


class Referrers:
    """`/v2/<name>/referrers/<digest>` (OCI distribution-spec, "Listing Referrers")."""

    def __init__(self, services: Services, patience: float) -> None:
        """Have clients wait up to `patience` seconds."""
        self._services = services
        self._asking = Asking(services.desk, services.refusals, patience)
        self._silent = _Silent()

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str, digest: str
    ) -> None:
        """An image index of what refers to the digest, of one `artifactType` if that is asked for.

        All in one answer: fetchers take no more of it than fits into one.
        """
        source = headers.source_of(self._services.naming, req, resp, name)
        listed, stale = await self._list(source, parse_digest(digest))
        # No media type holds a blank: that is a plus sign which the client did not escape.
        wanted = (req.get_param("artifactType") or "").replace(" ", "+")
        resp.content_type = OCI_INDEX
        if wanted:
            resp.data = await asyncio.to_thread(_filtered, listed.index, wanted)
            resp.set_header("OCI-Filters-Applied", "artifactType")
        else:
            resp.data = listed.index
        if stale:
            headers.mark_stale(resp)

    async def _list(self, source: Source, subject: Digest) -> tuple[Listed, bool]:
        job = ListReferrers(source=source, digest=subject, request_id=headers.request_id())
        tagttl = self._services.terms[source.upstream].tagttl
        known = self._services.referrer_lists.read(source.stored, subject)
        if known is not None and is_fresh(known.heard, tagttl):
            return known, False
        if known is None and self._silent.about(job.key):
            return _NONE, False
        heard_before = known.heard if known is not None else 0.0

        async def look(done: FillCommitted | None) -> Listed | None:
            listed = self._services.referrer_lists.read(source.stored, subject)
            if listed is None:
                return None if done is None else _NONE
            return None if done is None and listed.heard == heard_before else listed

        listed, stale = await self._asking.ask(job, look, known)
        if listed is _NONE:
            self._silent.note(job.key, tagttl)
        return listed, stale


def _filtered(index: bytes, artifact_type: str) -> bytes:
    descriptors = json.loads(index)["manifests"]
    return index_of([each for each in descriptors if each.get("artifactType") == artifact_type])


class _Silent:
    """Subjects nothing refers to and of which nothing is stored, by job key.

    An upstream has nothing to say about any number of digests, so no files are kept for those.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def note(self, key: str, seconds: float) -> None:
        self._until[key] = time.monotonic() + seconds
        self._until.move_to_end(key)
        if len(self._until) > _MOST_SILENT:
            self._until.popitem(last=False)

    def about(self, key: str) -> bool:
        return self._until.get(key, 0.0) > time.monotonic()
