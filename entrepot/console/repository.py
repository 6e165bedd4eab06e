"""One repository's page: its tags, its manifests, how to pull it, and out with it."""

from collections.abc import Sequence

from common.config import Config
from common.insight.catalog import Catalog, ManifestFacts, TagFacts
from common.paths import Layout
from entrepot.console.frame import Column, address, card, facts, link, note, page, short, table
from entrepot.console.html import Child, Html, el
from entrepot.console.image import ImagePage
from entrepot.console.pulling import commands, shown
from entrepot.console.rights import Visitor
from entrepot.console.targets import Target, absent, target_of
from entrepot.console.web import Request, Response
from entrepot.listing import expiry_of, kind_of, ttl_of
from entrepot.progress import amount
from entrepot.tables import ago, until

_PAGE = 50
_MOST_LINKS = 5000

_TAGS = (
    Column("Tag"),
    Column("Digest"),
    Column("Type"),
    Column("Size", is_number=True),
    Column("Last use", is_number=True),
    Column("Confirmed", is_number=True),
    Column("Expires", is_number=True),
)
_MANIFESTS = (
    Column("Manifest"),
    Column("Type"),
    Column("Size", is_number=True),
    Column("Last use", is_number=True),
    Column("Expires", is_number=True),
)


class RepositoryPages:
    """Below /cached/."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._catalog = Catalog(Layout(config.storage.rootdirectory))
        self._image = ImagePage(config, self._catalog)

    def get(self, request: Request, visitor: Visitor) -> Response:
        """The page of what the path names."""
        what = target_of(request.path.removeprefix("/cached/"))
        if what.reference is not None:
            return self._image.get(what, request, visitor)
        return self._repository(what, request, visitor)

    def _repository(self, what: Target, request: Request, visitor: Visitor) -> Response:
        name, query = what.repository, request.query
        tags = self._catalog.tags(name, after=query.get("tag", ""), limit=_PAGE)
        manifests = self._catalog.manifests(name, _PAGE, after=query.get("manifest", ""))
        if not tags and not manifests and not query:
            raise absent(what)
        ttl = ttl_of(self._config, name)
        latest = next((tag.tag for tag in tags if tag.tag == "latest"), tags[0].tag if tags else "")
        pull = commands(self._config, request.headers.get("Host", ""), f"{name}:{latest}")
        return Response.of(
            page(
                name,
                visitor,
                el("nav", link("Cached", "/cached"), class_="crumbs", aria_label="Where this is"),
                el("h1", name),
                note("Evicted.", "good") if query.get("done") == "evicted" else None,
                self._facts(what, ttl),
                card("Pull", shown(pull)) if tags else None,
                self._tags(what, tags, ttl),
                self._manifests(what, manifests, ttl),
                at="/cached",
            )
        )

    def _facts(self, what: Target, ttl: float | None) -> Html:
        told = self._catalog.repository(what.repository, _MOST_LINKS)
        more = "+" if told.is_partial else ""
        actions = el(
            "div",
            link("Verify…", "/verify", "button", target=str(what)),
            link("Evict…", "/evict", "button danger", target=str(what)),
            class_="actions",
        )
        return card(
            "What is here",
            facts(
                ("Size", f"{amount(told.size)}{more}"),
                ("Tags", f"{told.tags:,}"),
                ("Manifests", f"{told.manifests:,}{more}"),
                ("Last use", ago(told.used)),
                ("Expires", until(expiry_of(told.used, ttl))),
            ),
            aside=actions,
        )

    def _tags(self, what: Target, tags: Sequence[TagFacts], ttl: float | None) -> Html:
        rows = [_tag(what, tag, ttl) for tag in tags]
        more = _more(what, "tag", tags[-1].tag if len(tags) == _PAGE else "")
        return card("Tags", table("Tags", _TAGS, rows, "No tag is cached."), more)

    def _manifests(
        self, what: Target, manifests: Sequence[ManifestFacts], ttl: float | None
    ) -> Html:
        rows = [_manifest(what, each, ttl) for each in manifests]
        more = _more(what, "manifest", manifests[-1].digest if len(manifests) == _PAGE else "")
        return card("Manifests", table("Manifests", _MANIFESTS, rows, "No manifest is here."), more)


def _tag(what: Target, tag: TagFacts, ttl: float | None) -> list[Child]:
    return [
        link(tag.tag, Target(what.repository, tag.tag).page),
        short(tag.manifest.digest),
        kind_of(tag.manifest),
        amount(tag.manifest.size),
        ago(tag.used),
        ago(tag.confirmed),
        until(expiry_of(tag.used, ttl)),
    ]


def _manifest(what: Target, each: ManifestFacts, ttl: float | None) -> list[Child]:
    return [
        link(short(each.digest), Target(what.repository, each.digest).page),
        kind_of(each),
        amount(each.size),
        ago(each.used),
        until(expiry_of(each.used, ttl)),
    ]


def _more(what: Target, kind: str, last: str) -> Html | None:
    if not last:
        return None
    following = el("a", "Next page", href=address(what.page, **{kind: last}), class_="button")
    return el("div", following, class_="actions")
