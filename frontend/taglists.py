"""Tag lists: the upstream's, while it answers; else what was last heard, and what is stored."""

from dataclasses import dataclass

import falcon.asgi

from common.links import is_fresh
from common.messages import FillCommitted, ListTags
from common.reference import Tag
from common.source import Source
from frontend import headers, pages
from frontend.asking import Asking
from frontend.services import Services

# distribution's tags.maxtags, where it is 0 or absent.
_DEFAULT_MOST = 1000


@dataclass(frozen=True, slots=True)
class _Heard:
    tags: list[Tag]
    when: float  # unix seconds; 0 when never


class TagLists:
    """`/v2/<name>/tags/list` (OCI distribution-spec, "Listing Tags")."""

    def __init__(self, services: Services, patience: float, most: int) -> None:
        """Have clients wait up to `patience` seconds, and give `most` tags at once."""
        self._services = services
        self._asking = Asking(services.desk, services.refusals, patience)
        self._most = most or _DEFAULT_MOST

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str) -> None:
        """The tags in ASCII order, at most `n` of them, those after `last`."""
        source = headers.source_of(self._services.naming, req, resp, name)
        size, last = pages.page_size(req, self._most), pages.last(req)
        listed, stale = await self._list(source)
        tags = [tag for tag in listed if tag > last]
        page = tags if size is None else tags[:size]
        resp.media = {"name": name, "tags": page}
        if stale:
            headers.mark_stale(resp)
        if page and len(page) < len(tags):
            pages.link_next(req, resp, len(page), page[-1])

    async def _list(self, source: Source) -> tuple[list[Tag], bool]:
        known = self._heard(source)
        if known is not None and is_fresh(known.when, self._services.terms[source.upstream].tagttl):
            return known.tags, False
        heard_before = known.when if known is not None else 0.0

        async def look(done: FillCommitted | None) -> _Heard | None:
            heard = self._heard(source)
            if heard is None or (done is None and heard.when == heard_before):
                return None
            return heard

        job = ListTags(source=source, request_id=headers.request_id())
        heard, stale = await self._asking.ask(job, look, self._older(source, known))
        return heard.tags, stale

    def _heard(self, source: Source) -> _Heard | None:
        read = self._services.tag_lists.read(source.stored)
        return None if read is None else _Heard(*read)

    def _older(self, source: Source, known: _Heard | None) -> _Heard | None:
        """What there is without the upstream: a tag may have been pulled after the list was heard."""
        stored = self._services.tags.names(source.stored)
        if known is None:
            return _Heard(stored, 0.0) if stored else None
        return _Heard(sorted({*known.tags, *stored}), known.when)
