"""What is cached: upstreams, and their repositories in pages, sought by name."""

import time

from common.config import Config, Upstream
from common.insight.catalog import Catalog, Names, RepositoryFacts, page_of
from common.metrics.catalogue import CACHED, CACHED_BLOBS, COUNTED, upstream_label
from common.paths import Layout
from common.reference import RepositoryName
from common.repositories import repositories
from common.source import DEFAULT_UPSTREAM
from entrepot.console.figures import Figures
from entrepot.console.frame import Column, card, joined, link, note, page, table
from entrepot.console.html import Child, Html, el
from entrepot.console.rights import Visitor
from entrepot.console.upstreams import name_of
from entrepot.console.watch import Watch
from entrepot.console.web import Request, Response
from entrepot.listing import expiry_of, ttl_of
from entrepot.progress import amount
from entrepot.tables import ago, until

_PAGE = 50
# Seconds: for looking at names, and at what the repositories of one page hold.
_NAMES_SECONDS = 0.5
_FACTS_SECONDS = 0.4
_MOST_LINKS = 2000
_LONGEST = 255

_COLUMNS = (
    Column("Repository"),
    Column("Tags", is_number=True),
    Column("Manifests", is_number=True),
    Column("Size", is_number=True),
    Column("Last use", is_number=True),
    Column("Expires", is_number=True),
)


class Cached:
    """Looks into storage for each page, and no further than the page goes."""

    def __init__(self, config: Config, watch: Watch) -> None:
        self._config = config
        self._watch = watch
        self._layout = Layout(config.storage.rootdirectory)
        self._catalog = Catalog(self._layout)

    def get(self, request: Request, visitor: Visitor) -> Response:
        """A page of the list; `q` is in the names, `upstream` a label, `after` the page before."""
        query = request.query
        sought = query.get("q", "").strip().lower()[:_LONGEST]
        chosen, after = query.get("upstream", ""), query.get("after", "")[:_LONGEST]
        names = self._names(sought, chosen, after)
        content = [
            el("h1", "Cached"),
            note("Evicted.", "good") if query.get("done") == "evicted" else None,
            self._upstreams(chosen) if not after else None,
            _search(sought, chosen),
            self._repositories(names, sought, chosen),
        ]
        return Response.of(page("Cached", visitor, *content, at="/cached"))

    def _names(self, sought: str, chosen: str, after: str) -> Names:
        named = {upstream_label(name): name for name in self._config.proxy.upstreams}
        upstream = named.get(chosen)
        found = repositories(
            self._layout,
            after,
            below=upstream or "",
            but=list(filter(None, named.values())) if upstream == DEFAULT_UPSTREAM else (),
        )
        return page_of(found, sought, limit=_PAGE, seconds=_NAMES_SECONDS)

    def _upstreams(self, chosen: str) -> Html:
        figures = self._watch.look().figures
        cards = [
            _upstream(upstream, upstream_label(name) == chosen, figures)
            for name, upstream in self._config.proxy.upstreams.items()
        ]
        everything = link("All", "/cached", "tile slim" if chosen else "tile slim chosen")
        return el("nav", everything, cards, class_="tiles", aria_label="Upstreams")

    def _repositories(self, names: Names, sought: str, chosen: str) -> Html:
        deadline = time.monotonic() + _FACTS_SECONDS
        rows = [self._row(name, in_time=time.monotonic() < deadline) for name in names.found]
        empty = "No cached repository has that in its name." if sought else "Nothing is cached."
        empty = "None found so far." if names.is_cut else empty
        more = link("Search on" if names.is_cut else "Next page", "/cached", "button", q=sought, upstream=chosen, after=names.last) if names.last else None  # fmt: skip
        stopped = f"The search stopped at {names.last}: it takes half a second at most."
        return card(
            "Repositories",
            table("Repositories", _COLUMNS, rows, empty),
            el("p", stopped, class_="quiet") if names.is_cut else None,
            el("div", more, class_="actions") if more else None,
        )

    def _row(self, name: RepositoryName, *, in_time: bool) -> list[Child]:
        here = link(name, f"/cached/{name}")
        if not in_time:
            return [here, "…", "…", "…", "…", "…"]
        facts = self._catalog.repository(name, _MOST_LINKS)
        more = "+" if facts.is_partial else ""
        return [
            here,
            f"{facts.tags:,}",
            f"{facts.manifests:,}{more}",
            f"{amount(facts.size)}{more}",
            ago(facts.used),
            self._expiry(facts),
        ]

    def _expiry(self, facts: RepositoryFacts) -> str:
        ttl = ttl_of(self._config, facts.name)
        return until(expiry_of(facts.used, ttl)) if facts.used or ttl is None else "-"


def _upstream(upstream: Upstream, is_chosen: bool, figures: Figures) -> Html:
    label = upstream_label(upstream.name)
    size = figures.one(CACHED, upstream=label) if figures.one(COUNTED) else None
    told = (
        "not counted yet"
        if size is None
        else joined(amount(size), f"{figures.total(CACHED_BLOBS, upstream=label):,.0f} blobs")
    )
    content = [el("strong", name_of(upstream)), el("span", told, class_="below")]
    return link(
        content, "/cached", "tile slim chosen" if is_chosen else "tile slim", upstream=label
    )


def _search(sought: str, chosen: str) -> Html:
    return el(
        "form",
        el("label", "Search", for_="q", class_="unseen"),
        el("input", type="search", id="q", name="q", value=sought, placeholder="Part of a name",
           maxlength=_LONGEST, autocomplete="off", spellcheck="false"),
        el("input", type="hidden", name="upstream", value=chosen) if chosen else None,
        el("button", "Search"),
        method="get", action="/cached", class_="search", role="search",
    )  # fmt: skip
