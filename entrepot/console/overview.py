"""The first page: what is under way, how the last hours were, and what is wrong."""

import time
from collections import Counter
from collections.abc import Callable

from common.config import Config
from common.metrics.catalogue import CACHED, CACHED_BLOBS, COUNTED, FREE, LIMIT, STREAMS, WAITERS
from entrepot.console import traffic, upstreams
from entrepot.console.events import Parts
from entrepot.console.frame import (
    Column,
    card,
    counted,
    facts,
    joined,
    link,
    note,
    page,
    short,
    table,
)
from entrepot.console.history import HOURS, History
from entrepot.console.html import NOTHING, Child, Html, el, together
from entrepot.console.rights import Visitor
from entrepot.console.watch import MOST_FILLS, FillNow, Picture, Watch
from entrepot.console.web import Request, Response
from entrepot.progress import amount
from entrepot.tables import ago, span

_ROLES = ("frontend", "fetcher", "janitor")
_FILLS = (
    Column("Blob"),
    Column("For"),
    Column("Progress"),
    Column("Received", is_number=True),
    Column("Speed", is_number=True),
    Column("Left", is_number=True),
    Column("Clients", is_number=True),
)
_PROCESSES = (
    Column("Role"),
    Column("Machine"),
    Column("Process", is_number=True),
    Column("Since", is_number=True),
)


_ELSEWHERE = note(
    "No frontend counts for this console, so hits, traffic and rate limits are not told here. It knows"
    " those of its own machine's processes: docs/console.md."
)


class Overview:
    """Made of what `watch` sees and `history` remembers."""

    def __init__(self, config: Config, watch: Watch, history: History) -> None:
        self._config = config
        self._watch = watch
        self._history = history

    def get(self, request: Request, visitor: Visitor) -> Response:
        """The page."""
        asked = request.query.get("hours", "")
        hours = int(asked) if asked in map(str, HOURS) else HOURS[0]
        parts = self.parts(hours)
        content = [el("div", part, id=name) for name, part in parts.items()]
        return Response.of(
            page(
                "Overview",
                visitor,
                el("h1", "Overview", class_="unseen"),
                note(visitor.barred, "warning") if visitor.barred else None,
                content,
                at="/",
                live=f"overview-{hours}",
            )
        )

    def topics(self) -> dict[str, Callable[[], Parts]]:
        """What can be watched, by name."""
        return {f"overview-{hours}": lambda hours=hours: self.parts(hours) for hours in HOURS}  # type: ignore[misc]

    def parts(self, hours: int) -> Parts:
        """The page's parts, by the ids of their elements."""
        picture = self._watch.look()
        return {
            "problems": _problems(picture, is_readonly=self._config.maintenance.readonly.enabled),
            "tiles": self._tiles(picture) if picture.figures.is_whole else _ELSEWHERE,
            "inflight": _fills(picture.fills),
            "traffic": traffic.card_of(self._history, hours)
            if picture.figures.is_whole
            else NOTHING,
            "upstreams": upstreams.card_of(self._config, picture),
            "below": el("div", _queue(picture), _processes(picture), class_="columns"),
        }

    def _tiles(self, picture: Picture) -> Html:
        figures, last_hour = picture.figures, self._history.total(1, time.time())
        cached = figures.total(CACHED) if figures.one(COUNTED) else None
        free = figures.one(FREE)
        limit = figures.one(LIMIT)
        return el(
            "div",
            _tile("Hit ratio", traffic.percent(last_hour.ratio), "last hour"),
            _tile("Sent to clients", amount(last_hour.sent), "last hour"),
            _tile("From upstreams", amount(last_hour.received), "last hour"),
            _tile(
                "Under way",
                f"{len(picture.fills)}{'+' * (len(picture.fills) == MOST_FILLS)}",
                f"{figures.total(STREAMS):.0f} streams, {figures.total(WAITERS):.0f} wait",
            ),
            _tile(
                "Cached",
                "-" if cached is None else amount(cached),
                joined(
                    f"of {amount(limit)}" if limit else None,
                    f"{figures.total(CACHED_BLOBS):,.0f} blobs" if cached is not None else None,
                    f"{amount(free)} free" if free is not None else None,
                ),
            ),
            class_="tiles",
        )


def _tile(name: str, value: str, below: Child) -> Html:
    return el(
        "div",
        el("span", name, class_="name"),
        el("strong", value),
        el("span", below, class_="below"),
        class_="tile",
    )


def _problems(picture: Picture, *, is_readonly: bool) -> Html:
    alive = Counter(each.role for each in picture.processes if each.is_alive)
    missing = [] if is_readonly else [role for role in _ROLES if not alive[role]]
    told = [note(f"No {role} is alive.", "bad") for role in missing]
    if not picture.queue.answers:
        told.append(note("The queue does not answer.", "bad"))
    if picture.queue.dead:
        letters = link(counted(picture.queue.dead, "dead letter"), "/queue")
        told.append(note(together("In the queue: ", letters, "."), "warning"))
    return together(told)


def _fills(fills: list[FillNow]) -> Html:
    caption = "Downloads under way"
    return card("In flight", table(caption, _FILLS, map(_fill, fills), "Nothing is being fetched."))


def _fill(fill: FillNow) -> list[Child]:
    told = fill.facts
    received = f"{amount(told.received)} of {amount(told.size)}" if told.size else "-"
    return [
        short(told.digest),
        _who(told.repositories),
        _bar(fill),
        received if told.size else amount(told.received),
        "-" if fill.speed is None else f"{amount(fill.speed)}/s",
        "-" if fill.left is None else span(fill.left),
        "-" if fill.waiting is None else fill.waiting,
    ]


def _who(repositories: tuple[str, ...]) -> Child:
    if not repositories:
        return el("span", "asking the upstream", class_="quiet")
    more = f" and {len(repositories) - 1} more" if len(repositories) > 1 else ""
    return together(link(repositories[0], f"/cached/{repositories[0]}"), more)


def _bar(fill: FillNow) -> Html:
    told = fill.facts
    name = f"Progress of {told.digest[:19]}"
    bar = (
        el("progress", value=told.received, max=told.size, aria_label=name)
        if told.size
        else el("progress", aria_label=name)
    )
    waits = None if told.is_held else el("span", "waits for a fetcher", class_="quiet")
    share = f"{told.received / told.size:.0%}" if told.size else "…"
    return el("div", bar, el("span", share, class_="share"), waits, class_="bar")


def _queue(picture: Picture) -> Html:
    queue = picture.queue
    if not queue.answers:
        return card("Queue", el("p", "It does not answer.", class_="bad"))
    pairs = [
        (name.capitalize(), "-" if count is None else str(count))
        for name, count in queue.depths.items()
    ]
    dead = link(counted(queue.dead or 0, "dead letter"), "/queue")
    return card("Queue", facts(*pairs), aside=dead)


def _processes(picture: Picture) -> Html:
    rows: list[list[Child]] = [
        [
            each.role if each.is_alive else el("span", f"{each.role}, gone", class_="bad"),
            each.host,
            each.pid,
            ago(each.since),
        ]
        for each in picture.processes[:64]
    ]
    return card("Processes", table("Processes", _PROCESSES, rows, "None is alive."))
