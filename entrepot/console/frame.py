"""What all pages have in common: the frame around them, and the parts they are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from entrepot.console.html import Child, Html, el, together
from entrepot.console.rights import FIELD, Visitor
from entrepot.console.static import url_of

_PAGES = (("/", "Overview"), ("/cached", "Cached"), ("/queue", "Queue"), ("/verify", "Verify"))


def page(
    title: str, visitor: Visitor | None, *content: Child, at: str = "", live: str = ""
) -> Html:
    """A whole page; `at` is its place in the navigation, `live` what it watches."""
    return el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("title", f"{title} · entrepot"),
            el("link", rel="icon", href=url_of("icon.svg"), type="image/svg+xml"),
            el("link", rel="stylesheet", href=url_of("console.css")),
            el("script", src=url_of("console.js"), defer=True),
        ),
        el(
            "body",
            el("a", "Skip to the content", class_="skip", href="#content"),
            _header(at, visitor, is_live=bool(live)),
            el("main", content, id="content", tabindex=-1),
            data_live=live or None,
        ),
        lang="en",
    )


def _header(at: str, visitor: Visitor | None, *, is_live: bool) -> Html:
    links = [
        el("a", name, href=path, aria_current="page" if path == at else None)
        for path, name in _PAGES
    ]
    return el(
        "header",
        el("a", "entrepot", class_="brand", href="/"),
        el("nav", links, aria_label="Pages"),
        el("span", "not live", id="live", class_="live", role="status") if is_live else None,
        _badge(visitor) if visitor else None,
    )


def _badge(visitor: Visitor) -> Html:
    if visitor.barred:
        return el("span", "read-only", class_="badge", title=visitor.barred)
    return el("span", visitor.name, class_="badge")


def card(title: str, *content: Child, aside: Child = None) -> Html:
    """A section with a heading, and something small beside that."""
    head = el("div", el("h2", title), aside, class_="head") if aside else el("h2", title)
    return el("section", head, content, class_="card")


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table; numbers stand to the right."""

    name: str
    is_number: bool = False


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Child]], empty: str
) -> Html:
    """A table, or on a narrow screen a list of its rows; `empty` stands for no rows at all."""
    made = [_row(columns, row) for row in rows]
    if not made:
        return el("p", empty, class_="quiet")
    # The roles are what the elements mean anyway, until a narrow screen has them laid out otherwise.
    heads = [
        el(
            "th",
            column.name,
            scope="col",
            role="columnheader",
            class_="number" if column.is_number else None,
        )
        for column in columns
    ]
    return el(
        "table",
        el("caption", caption),
        el("thead", el("tr", heads, role="row"), role="rowgroup"),
        el("tbody", made, role="rowgroup"),
        role="table",
    )


def _row(columns: Sequence[Column], cells: Sequence[Child]) -> Html:
    made = [
        el(
            "td",
            cell,
            role="cell",
            class_="number" if column.is_number else None,
            data_label=column.name or None,
        )
        for column, cell in zip(columns, cells, strict=True)
    ]
    return el("tr", made, role="row")


def facts(*pairs: tuple[str, Child]) -> Html:
    """Names and what they are."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in pairs))


def button(
    visitor: Visitor, action: str, text: str, fields: dict[str, str], kind: str = ""
) -> Html:
    """What changes something: a form of its own."""
    hidden = [
        el("input", type="hidden", name=name, value=value)
        for name, value in {**fields, FIELD: visitor.token}.items()
    ]
    return el(
        "form",
        hidden,
        el("button", text, class_=kind or None),
        method="post",
        action=action,
        class_="inline",
    )


def address(path: str, **query: str) -> str:
    """A link's address; what is empty in the query is left out."""
    asked = urlencode({name: value for name, value in query.items() if value})
    return quote(path, safe="/:@") + (f"?{asked}" if asked else "")


def link(text: Child, path: str, kind: str = "", **query: str) -> Html:
    """A link."""
    return el("a", text, href=address(path, **query), class_=kind or None)


def note(text: Child, kind: str = "") -> Html:
    """Something to be noticed."""
    return el("p", text, class_=f"note {kind}".strip(), role="status")


def short(digest: str) -> Html:
    """A digest, as much as tells it from others; all of it when pointed at."""
    return el("code", digest.partition(":")[2][:12], title=digest)


def confirmation(visitor: Visitor, title: str, what: Child, form: Html, back: str, at: str) -> Html:
    """The page that asks before something is done."""
    content = (
        note(visitor.barred, "warning")
        if visitor.barred
        else el("div", form, link("Cancel", back, "button"), class_="actions")
    )
    return page(title, visitor, el("h1", title), card("This is what happens", what, content), at=at)


def counted(count: int, what: str) -> str:
    """`1 letter`, `2 letters`."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def joined(*parts: Child) -> Html:
    """Parts with a dot between them."""
    made: list[Child] = []
    for part in parts:
        if part:
            made += [" · ", part] if made else [part]
    return together(made)
