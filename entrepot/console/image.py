"""One image's page: what it is made of, what of that is here, how to pull it."""

from common.config import Config
from common.digest import Digest
from common.insight.catalog import Catalog
from common.insight.manifests import Described
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.tags import Tags
from entrepot.console.frame import Column, card, facts, link, page, short, table
from entrepot.console.html import Child, Html, el
from entrepot.console.pulling import commands, shown
from entrepot.console.rights import Visitor
from entrepot.console.targets import Target, absent
from entrepot.console.web import Request, Response
from entrepot.listing import expiry_of, kind_of, ttl_of
from entrepot.progress import amount
from entrepot.tables import ago, until

# Of an image's layers or an index's images, those that are shown.
_MOST = 200

_PARTS = (
    Column("Part"),
    Column("Digest"),
    Column("Size", is_number=True),
    Column("Here"),
    Column(""),
)
_CHILDREN = (Column("Platform"), Column("Digest"), Column("Here"))


class ImagePage:
    """For a tag, a manifest, or a layer by its digest."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._config = config
        self._catalog = catalog
        layout = Layout(config.storage.rootdirectory)
        self._links = Links(layout)
        self._tags = Tags(layout)

    def get(self, what: Target, request: Request, visitor: Visitor) -> Response:
        """The page; raises Refusal where nothing of it is here."""
        digest = self._digest(what)
        told = self._catalog.manifest(what.repository, digest)
        if told.used is None:
            raise absent(what)
        ttl = ttl_of(self._config, what.repository)
        described = self._catalog.described(digest)
        pull = commands(self._config, request.headers.get("Host", ""), str(what))
        known = facts(
            ("Digest", el("code", digest, class_="whole")),
            ("Type", kind_of(told)),
            ("Size", amount(told.size)),
            ("Last use", ago(told.used)),
            ("Expires", until(expiry_of(told.used, ttl))),
        )
        return Response.of(
            page(
                str(what),
                visitor,
                _crumbs(what),
                el("h1", _short(what)),
                card("What it is", known, aside=_actions(what)),
                card("Pull", shown(pull)),
                self._children(what, described) if described.children else None,
                self._parts(what, described) if described.parts else None,
                at="/cached",
            )
        )

    def _digest(self, what: Target) -> Digest:
        if isinstance(what.reference, Digest):
            return what.reference
        stored = self._tags.read(what.repository, what.reference) if what.reference else None
        if stored is None:
            raise absent(what)
        return stored.digest

    def _children(self, what: Target, described: Described) -> Html:
        rows: list[list[Child]] = []
        for child in described.children[:_MOST]:
            is_here = self._links.has(Kind.MANIFEST, what.repository, child.digest)
            of = Target(what.repository, child.digest).page
            digest = link(short(child.digest), of) if is_here else short(child.digest)
            rows.append([child.platform or "-", digest, _here(is_here=is_here)])
        return card("Images", table("Images", _CHILDREN, rows, ""))

    def _parts(self, what: Target, described: Described) -> Html:
        rows: list[list[Child]] = []
        for number, part in enumerate(described.parts[:_MOST]):
            is_here = self._links.has(Kind.LAYER, what.repository, part.digest)
            of = str(Target(what.repository, part.digest))
            name = f"layer {number}" if number else "configuration"
            check = el("span", f" {name}", class_="unseen")
            rows.append(
                [
                    name,
                    short(part.digest),
                    amount(part.size),
                    _here(is_here=is_here),
                    link(["Verify…", check], "/verify", target=of) if is_here else None,
                ]
            )
        return card("Parts", table("Parts", _PARTS, rows, ""))


def _here(*, is_here: bool) -> Html:
    return el("span", "yes", class_="good") if is_here else el("span", "no", class_="quiet")


def _crumbs(what: Target) -> Html:
    return el(
        "nav",
        link("Cached", "/cached"),
        " / ",
        link(what.repository, f"/cached/{what.repository}"),
        class_="crumbs",
        aria_label="Where this is",
    )


def _short(what: Target) -> str:
    if isinstance(what.reference, Digest):
        return f"{what.repository}@{what.reference[:19]}"
    return str(what)


def _actions(what: Target) -> Html:
    return el(
        "div",
        link("Verify…", "/verify", "button", target=str(what)),
        link("Evict…", "/evict", "button danger", target=str(what)),
        class_="actions",
    )
