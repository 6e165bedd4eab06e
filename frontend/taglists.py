"""Tag lists: the upstream's, while it answers; else what was last heard, and what is stored."""

import falcon.asgi

from common.links import is_fresh
from common.messages import FillCommitted, ListTags
from common.reference import Tag
from common.source import Source
from common.tags import TagList
from frontend import headers, pages
from frontend.asking import Asking
from frontend.services import Services

# distribution's tags.maxtags, where it is 0 or absent.
_DEFAULT_MOST = 1000


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
        listed, stale = await self._list(source, last)
        tags = [tag for tag in listed.tags if tag > last]
        page = tags if size is None else tags[:size]
        resp.media = {"name": name, "tags": page}
        if stale:
            headers.mark_stale(resp)
        if page and (len(page) < len(tags) or not listed.whole):
            pages.link_next(req, resp, len(page), page[-1])

    async def _list(self, source: Source, last: str) -> tuple[TagList, bool]:
        """The stretch of the list in which the tags behind `last` are, and whether it is stale."""
        while True:
            listed, stale = await self._stretch(source, self._begin(source, last))
            if not _is_passed(listed, last):
                return listed, stale

    def _begin(self, source: Source, last: str) -> Tag | None:
        """Behind which tag that stretch begins, as far as those before it have been heard."""
        after: Tag | None = None
        while (heard := self._heard(source, after)) is not None and _is_passed(heard, last):
            after = heard.tags[-1]
        return after

    async def _stretch(self, source: Source, after: Tag | None) -> tuple[TagList, bool]:
        known = self._heard(source, after)
        tagttl = self._services.terms[source.upstream].tagttl
        if known is not None and is_fresh(known.heard, tagttl):
            return known, False
        heard_before = known.heard if known is not None else 0.0

        async def look(done: FillCommitted | None) -> TagList | None:
            heard = self._heard(source, after)
            if heard is None or (done is None and heard.heard == heard_before):
                return None
            return heard

        job = ListTags(source=source, after=after, request_id=headers.request_id())
        older = known if after else self._older(source, known)
        return await self._asking.ask(job, look, older)

    def _heard(self, source: Source, after: Tag | None) -> TagList | None:
        return self._services.tag_lists.read(source.stored, after)

    def _older(self, source: Source, known: TagList | None) -> TagList | None:
        """What there is without the upstream: a tag may have been pulled after the list was heard."""
        stored = self._services.tags.names(source.stored)
        if known is None:
            return TagList(stored, 0.0) if stored else None
        # What lies beyond a stretch is for the next one to tell.
        near = [tag for tag in stored if known.whole or tag <= known.tags[-1]]
        return known._replace(tags=sorted({*known.tags, *near}))


def _is_passed(listed: TagList, last: str) -> bool:
    """Whether what comes behind `last` is not in this stretch, but in one that follows it."""
    return not listed.whole and bool(listed.tags) and last >= listed.tags[-1]
