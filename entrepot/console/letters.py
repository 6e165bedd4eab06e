"""The queue's page: what waits, and the dead letters, to look at, try again or drop."""

from collections.abc import Callable
from http import HTTPStatus

from common import logs
from common.broker import Broker
from common.broker.letters import MOST_LISTED, DeadLetter
from common.errors import BrokerUnavailable
from common.insight import queue as insight
from common.insight.queue import QueueFacts
from entrepot.console.frame import (
    Column,
    button,
    card,
    confirmation,
    counted,
    facts,
    link,
    note,
    page,
    table,
)
from entrepot.console.html import Child, Html, el
from entrepot.console.rights import Visitor
from entrepot.console.web import Refusal, Request, Response
from entrepot.tables import ago

_log = logs.get(__name__)

_PAGE = 50
_ALL = "all"
_COLUMNS = (
    Column("Letter"),
    Column("Died", is_number=True),
    Column("Queue"),
    Column("Tries", is_number=True),
    Column("What and why"),
    Column(""),
)
_DONE = {"retry": "Queued again: {}.", "drop": "Dropped: {}."}


class Letters:
    """Asks the queue for each page."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def get(self, request: Request, visitor: Visitor) -> Response:
        """The page; `from` is how many letters lie before it."""
        first = _number(request.query.get("from", ""), MOST_LISTED - _PAGE)
        facts_ = insight.queue(self._broker)
        letters = self._letters(first) if facts_.dead else []
        return Response.of(
            page(
                "Queue",
                visitor,
                el("h1", "Queue"),
                _told(request),
                note("The queue does not answer.", "bad") if not facts_.answers else None,
                _depths(facts_) if facts_.answers else None,
                _list(letters, facts_, first, visitor) if facts_.answers else None,
                at="/queue",
            )
        )

    def ask(self, request: Request, visitor: Visitor) -> Response:
        """The page that asks before letters are dropped."""
        chosen = request.query.get("id", "")
        what = "all dead letters" if chosen == _ALL else f"the dead letter {chosen[:40]}"
        told = el(
            "p", f"{what.capitalize()} will be gone for good. Clients ask again, if they want."
        )
        form = button(visitor, "/queue/drop", "Drop", {"id": chosen}, "danger")
        title = f"Drop {what}?"
        return Response.of(confirmation(visitor, title, told, form, "/queue", "/queue"))

    def retry(self, request: Request, visitor: Visitor) -> Response:
        """Have letters tried again."""
        return self._change("retry", self._broker.retry_dead, request, visitor)

    def drop(self, request: Request, visitor: Visitor) -> Response:
        """Throw letters away."""
        return self._change("drop", self._broker.drop_dead, request, visitor)

    def _change(
        self,
        what: str,
        change: Callable[[tuple[str, ...] | None], int],
        request: Request,
        visitor: Visitor,
    ) -> Response:
        chosen = request.form.get("id", "")
        if not chosen:
            raise Refusal(HTTPStatus.BAD_REQUEST, "No letter was chosen.")
        try:
            count = change(None if chosen == _ALL else (chosen,))
        except BrokerUnavailable as error:
            text = "The queue does not answer; nothing was changed, as far as is known."
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text) from error
        _log.info("dead letters changed at the console", who=visitor.name, how=what, count=count)
        return Response.see(f"/queue?done={what}&count={count}")

    def _letters(self, first: int) -> list[DeadLetter]:
        try:
            return self._broker.dead_letters(first + _PAGE + 1)[first:]
        except BrokerUnavailable:
            return []


def _told(request: Request) -> Html | None:
    text = _DONE.get(request.query.get("done", ""))
    count = _number(request.query.get("count", ""), 1_000_000)
    if text is None:
        return None
    return note(text.format(counted(count, "dead letter")), "good" if count else "")


def _depths(told: QueueFacts) -> Html:
    waiting = [
        (name.capitalize(), "-" if count is None else f"{count:,}")
        for name, count in told.depths.items()
    ]
    return card("Waiting", facts(*waiting))


def _list(letters: list[DeadLetter], told: QueueFacts, first: int, visitor: Visitor) -> Html:
    rows = [_row(letter, visitor) for letter in letters[:_PAGE]]
    more = len(letters) > _PAGE and first + _PAGE < MOST_LISTED
    following = link("Next page", "/queue", "button", **{"from": str(first + _PAGE)})
    every = el(
        "div",
        button(visitor, "/queue/retry", "Retry all", {"id": _ALL}),
        link("Drop all…", "/queue/drop", "button danger", id=_ALL),
        class_="actions",
    )
    return card(
        f"Dead letters: {told.dead:,}",
        table("Dead letters", _COLUMNS, rows, "There are none."),
        el("div", following, class_="actions") if more else None,
        aside=every if rows and not visitor.barred else None,
    )


def _row(letter: DeadLetter, visitor: Visitor) -> list[Child]:
    name = el("span", f" letter {letter.id}", class_="unseen")
    return [
        el("code", letter.id),
        ago(letter.died),
        letter.queue,
        letter.attempts,
        el(
            "div",
            el("code", letter.key or "nothing that can be read", class_="whole"),
            el("p", letter.reason, class_="reason"),
        ),
        None
        if visitor.barred
        else el(
            "div",
            button(visitor, "/queue/retry", "Retry", {"id": letter.id}),
            link(["Drop…", name], "/queue/drop", "button danger", id=letter.id),
            class_="actions",
        ),
    ]


def _number(text: str, most: int) -> int:
    return min(int(text), most) if text.isascii() and text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 - digits
