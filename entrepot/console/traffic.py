"""Hit ratio and traffic over the last hours."""

import time
from collections.abc import Sequence

from entrepot.console.chart import NUMBER, Line, axis, chart
from entrepot.console.frame import card, link
from entrepot.console.history import HOURS, Counts, History, Stretch
from entrepot.console.html import Html, el
from entrepot.progress import amount

_STEPS = (1, 2, 5, 10)


def card_of(history: History, hours: int) -> Html:
    """Two charts of the last `hours`."""
    now = time.time()
    stretches = history.stretches(hours, NUMBER, now)
    total = history.total(hours, now)
    ways = [
        link(f"{each} h", "/", "chosen" if each == hours else "", hours=str(each)) for each in HOURS
    ]
    return card(
        "Traffic",
        el("div", _ratio(stretches, total), _bytes(stretches, total), class_="charts"),
        aside=el("nav", ways, class_="ways", aria_label="Hours shown"),
    )


def percent(ratio: float | None) -> str:
    """A share; what is nearly all is not told as all."""
    if ratio is None:
        return "-"
    return f"{min(ratio, 0.999) if ratio < 1 else 1:.{0 if ratio == 1 else 1}%}"


def _ratio(stretches: Sequence[Stretch], total: Counts) -> Html:
    told = f"{percent(total.ratio)} of {total.hits + total.misses:,.0f} requests cost no upstream"

    def say(stretch: Stretch) -> str:
        counts = stretch.counts or Counts()
        return f"{percent(counts.ratio)} of {counts.hits + counts.misses:,.0f} requests"

    lines = [Line("hits", lambda each: each.counts.ratio if each.counts else None, is_area=True)]
    drawn = chart(f"Hit ratio: {told}", stretches, lines, top=1.0, told=say)
    return _figure("Hit ratio", "100%", drawn, stretches, told)


def _bytes(stretches: Sequence[Stretch], total: Counts) -> Html:
    told = f"{amount(total.sent)} to clients, {amount(total.received)} from upstreams"
    highest = max(
        (max(_sent(each) or 0.0, _received(each) or 0.0) for each in stretches), default=0.0
    )

    def say(stretch: Stretch) -> str:
        out, in_ = _sent(stretch) or 0.0, _received(stretch) or 0.0
        return f"{amount(out)}/s to clients, {amount(in_)}/s from upstreams"

    top = _round(highest)
    lines = [Line("sent", _sent, is_area=True), Line("received", _received)]
    drawn = chart(f"Traffic: {told}", stretches, lines, top=top, told=say)
    return _figure("Bytes a second", f"{amount(top)}/s", drawn, stretches, told, "sent", "received")


def _sent(stretch: Stretch) -> float | None:
    return stretch.counts.sent / max(stretch.seconds, 1.0) if stretch.counts else None


def _received(stretch: Stretch) -> float | None:
    return stretch.counts.received / max(stretch.seconds, 1.0) if stretch.counts else None


def _round(highest: float) -> float:
    """The next of 1, 2, 5, 10, 20, … kB a second."""
    scale = 1000.0
    while highest > scale * 10:
        scale *= 10
    return next(scale * step for step in _STEPS if highest <= scale * step)


def _figure(
    name: str, top: str, drawn: Html, stretches: Sequence[Stretch], told: str, *kinds: str
) -> Html:
    keys = {"sent": "to clients", "received": "from upstreams"}
    key = [el("span", keys[kind], class_=f"key {kind}") for kind in kinds]
    return el(
        "figure",
        el("figcaption", el("b", name), el("span", told, class_="quiet")),
        el("div", el("span", top, class_="top", aria_hidden="true"), drawn, class_="plot"),
        axis(stretches),
        el("p", key, class_="keys") if key else None,
    )
