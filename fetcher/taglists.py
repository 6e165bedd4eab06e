"""An upstream's list of a repository's tags (OCI distribution-spec, "Listing Tags")."""

import json
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from common.errors import InvalidTag, UpstreamError
from common.reference import RepositoryName, Tag
from fetcher.answers import Asked
from fetcher.pages import Listing, TooMuch
from fetcher.registry import Registry

MAX_PAGES = 500
LIST_BYTES = 16 * 1024 * 1024  # all pages together

ENOUGH_PAGES = 50
"""Of a list in ASCII order, in which one can go on behind any tag: some seconds' worth of pages."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tags in the upstream's order; `whole` says that none follow."""

    tags: list[Tag]
    whole: bool


def tags_after(registry: Registry, repository: RepositoryName, after: Tag | None) -> Stretch:
    """As Upstream.tags."""
    listing = Listing("a list of tags", Asked.TAGS, "application/json", MAX_PAGES, LIST_BYTES)
    # No `n`: registries refuse one that is above their own limit, and page by it without.
    query = f"?{urlencode({'last': after})}" if after else ""
    url = registry.url(repository, "tags/list") + query
    reading = _Reading(after or "")
    first = listing.ask(registry, repository, url)
    try:
        for body in listing.pages(registry, repository, url, first, reading.is_enough):
            reading.take(_tags_in(body))
    except TooMuch:
        if not reading.tags:
            raise
        return Stretch(list(reading.tags), whole=False)
    return Stretch(list(reading.tags), whole=True)


class _Reading:
    """What has been read; of what comes behind a tag, nothing that does not."""

    def __init__(self, after: str) -> None:
        self.tags: dict[Tag, None] = {}
        self._after = after
        self._last = after
        self._in_order = True

    def take(self, page: list[Tag]) -> None:
        for tag in page:
            self._in_order = self._in_order and tag > self._last
            self._last = tag
            if tag > self._after:
                self.tags[tag] = None

    def is_enough(self, pages: int) -> bool:
        return self._in_order and pages >= ENOUGH_PAGES


def _tags_in(body: bytes) -> list[Tag]:
    try:
        named = json.loads(body)["tags"] or []
        texts = [text for text in named if isinstance(text, str)]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UpstreamError("the list of tags makes no sense") from error
    tags = []
    for text in texts:
        with suppress(InvalidTag):  # could not be pulled by anyway
            tags.append(Tag(text))
    return tags
