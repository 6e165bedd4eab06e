"""An upstream's list of a repository's tags (OCI distribution-spec, "Listing Tags")."""

import json
from contextlib import suppress

from common.errors import InvalidTag, UpstreamError
from common.reference import RepositoryName, Tag
from fetcher.answers import Asked
from fetcher.pages import Listing
from fetcher.registry import Registry

MAX_PAGES = 500
LIST_BYTES = 16 * 1024 * 1024  # all pages together


def all_tags(registry: Registry, repository: RepositoryName) -> list[Tag]:
    """As Upstream.tags."""
    listing = Listing("a list of tags", Asked.TAGS, "application/json", MAX_PAGES, LIST_BYTES)
    # No `n`: registries refuse one that is above their own limit, and page by it without.
    url = registry.url(repository, "tags/list")
    tags: dict[Tag, None] = {}
    first = listing.ask(registry, repository, url)
    for body in listing.pages(registry, repository, url, first):
        tags.update(dict.fromkeys(_tags_in(body)))
    return list(tags)


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
