"""How the upstreams are: asked, resting, given up for now; what they still allow; what is kept."""

from urllib.parse import urlsplit

from common.config import Config, Upstream
from common.metrics.catalogue import (
    ASKED,
    BREAKER,
    CACHED,
    CACHED_BLOBS,
    COUNTED,
    QUOTA_LEFT,
    QUOTA_LIMIT,
    RESTING,
    upstream_label,
)
from entrepot.console.figures import Figures
from entrepot.console.frame import Column, card, joined, link, table
from entrepot.console.html import Child, Html, el, together
from entrepot.console.watch import Picture
from entrepot.progress import amount
from entrepot.tables import span

_COLUMNS = (
    Column("Upstream"),
    Column("State"),
    Column("Rate limit"),
    Column("Requests", is_number=True),
    Column("Failures", is_number=True),
    Column("Cached", is_number=True),
)
_FAILURES = ("429", "5xx", "error")
# Of what a registry allows in its window, when it is time to notice.
_LITTLE = 0.1


def card_of(config: Config, picture: Picture) -> Html:
    """All of them."""
    rests = {each.name: each.rests for each in picture.upstreams}
    rows = [
        _row(upstream, rests.get(name, 0.0), picture.figures)
        for name, upstream in config.proxy.upstreams.items()
    ]
    return card("Upstreams", table("Upstreams", _COLUMNS, rows, "None is configured."))


def _row(upstream: Upstream, rests: float, figures: Figures) -> list[Child]:
    label = upstream_label(upstream.name)
    failed = sum(figures.total(ASKED, upstream=label, answer=each) for each in _FAILURES)
    size = figures.one(CACHED, upstream=label) if figures.one(COUNTED) else None
    blobs = figures.total(CACHED_BLOBS, upstream=label)
    return [
        el(
            "div",
            link(name_of(upstream), "/cached", upstream=label),
            el("small", _beside(upstream)),
        ),
        _state(figures, label, rests),
        _quota(figures, label),
        _number(figures, figures.total(ASKED, upstream=label)),
        el("span", _number(figures, failed), class_="bad" if failed else None),
        "-" if size is None else joined(amount(size), f"{blobs:,.0f} blobs"),
    ]


def name_of(upstream: Upstream) -> str:
    """An upstream as people are told of it."""
    return upstream.name or _address(upstream)


def _beside(upstream: Upstream) -> str:
    address = _address(upstream)
    return "the default" if not upstream.name else address if address != upstream.name else ""


def _address(upstream: Upstream) -> str:
    return urlsplit(upstream.remoteurl).netloc


def _number(figures: Figures, count: float) -> str:
    return f"{count:,.0f}" if figures.is_whole else "-"


def _state(figures: Figures, label: str, rests: float) -> Html:
    rests = max(rests, figures.one(RESTING, upstream=label) or 0.0)
    if figures.one(BREAKER, upstream=label):
        return el("span", "does not answer", class_="state bad")
    if rests:
        return el("span", f"wants a rest for {span(rests)}", class_="state warning")
    if not figures.is_whole:
        return el("span", "not known here", class_="state quiet")
    if not figures.total(ASKED, upstream=label):
        return el("span", "not asked yet", class_="state quiet")
    return el("span", "answers", class_="state good")


def _quota(figures: Figures, label: str) -> Child:
    limit = figures.one(QUOTA_LIMIT, upstream=label)
    left = figures.one(QUOTA_LEFT, upstream=label)
    if not limit or left is None:
        return el("span", "none told", class_="quiet")
    told = f"{left:,.0f} of {limit:,.0f} left"
    kind = "warning" if left < limit * _LITTLE else None
    return together(
        el("meter", value=round(left), max=round(limit), min=0, aria_label=f"Rate limit: {told}"),
        el("span", told, class_=kind),
    )
