"""`entrepot ls`: what is cached."""

import json
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from common.config import Config
from common.insight.catalog import Catalog, ManifestFacts, RepositoryFacts, TagFacts
from common.reference import RepositoryName
from common.source import source_of
from entrepot.failure import Failure
from entrepot.progress import amount
from entrepot.storage import layout_of, repository_named
from entrepot.tables import ago, table, until

_TAG_HEAD = ("TAG", "DIGEST", "TYPE", "SIZE", "LAST USED", "EXPIRES")
_MANIFEST_HEAD = ("MANIFEST", "TYPE", "SIZE", "LAST USED", "EXPIRES")
_SHORT = 19  # sha256: and twelve digits


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: what contains `match`, behind `after`, `limit` at most."""

    match: str
    after: str
    limit: int


def repositories(config: Config, page: Page, *, as_json: bool) -> int:
    """List repositories; 0."""
    catalog = Catalog(layout_of(config))
    names = catalog.names(after=page.after, matching=page.match)
    found = [catalog.repository(name) for name in islice(names, page.limit)]
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
    elif found:
        head = ("REPOSITORY", "TAGS", "MANIFESTS", "SIZE", "LAST USED")
        print(table([head, *(_row(each) for each in found)]))
    else:
        print("nothing is cached" if not (page.match or page.after) else "no such repository")
    if len(found) == page.limit and not as_json:
        print(f"there may be more: --after {found[-1].name}")
    return 0


def _row(facts: RepositoryFacts) -> tuple[str, ...]:
    more = "+" if facts.is_partial else ""
    return (
        facts.name,
        str(facts.tags),
        f"{facts.manifests}{more}",
        f"{amount(facts.size)}{more}",
        ago(facts.used),
    )


def repository(config: Config, text: str, page: Page, *, as_json: bool) -> int:
    """List one repository's tags and manifests; 0. Raises Failure when it is not cached."""
    name = repository_named(config, text)
    catalog = Catalog(layout_of(config))
    tags = catalog.tags(name, after=page.after, limit=page.limit)
    manifests = catalog.manifests(name, page.limit)
    if not tags and not manifests:
        raise Failure(f"{name}: nothing of it is cached", "`entrepot ls` lists what is")
    ttl = ttl_of(config, name)
    if as_json:
        print(json.dumps(_as_json(tags, manifests, ttl)))
        return 0
    if tags:
        print(table([_TAG_HEAD, *(_tag_row(tag, ttl) for tag in tags)]))
    tagged = {tag.manifest.digest for tag in tags}
    others = [each for each in manifests if each.digest not in tagged]
    if others:
        print(table([_MANIFEST_HEAD, *(_manifest_row(each, ttl) for each in others)]))
    return 0


def ttl_of(config: Config, name: RepositoryName) -> float | None:
    """Seconds after its last use that content of the repository is kept; None: for ever."""
    source = source_of(name, config.proxy.upstreams)
    upstream = config.proxy.upstreams.get(source.upstream)
    return upstream.ttl if upstream else None


def expiry_of(used: float | None, ttl: float | None) -> float | None:
    """When what was used then expires (unix seconds); None: never, or not known."""
    return None if ttl is None or used is None else used + ttl


def _tag_row(tag: TagFacts, ttl: float | None) -> tuple[str, ...]:
    return (
        tag.tag,
        tag.manifest.digest[:_SHORT],
        kind_of(tag.manifest),
        amount(tag.manifest.size),
        ago(tag.used),
        until(expiry_of(tag.used, ttl)),
    )


def _manifest_row(manifest: ManifestFacts, ttl: float | None) -> tuple[str, ...]:
    return (
        manifest.digest,  # whole: it is all that it can be named by
        kind_of(manifest),
        amount(manifest.size),
        ago(manifest.used),
        until(expiry_of(manifest.used, ttl)),
    )


def kind_of(manifest: ManifestFacts) -> str:
    """What a manifest is, in words."""
    if not manifest.is_here:
        return "not here"
    if "index" in manifest.media_type or "manifest.list" in manifest.media_type:
        return f"index ({', '.join(manifest.platforms) or 'no image of it'})"
    return "image"


def _as_json(
    tags: list[TagFacts], manifests: list[ManifestFacts], ttl: float | None
) -> dict[str, Any]:
    return {
        "tags": [{**asdict(tag), "expires": expiry_of(tag.used, ttl)} for tag in tags],
        "manifests": [
            {**asdict(manifest), "expires": expiry_of(manifest.used, ttl)} for manifest in manifests
        ],
    }
