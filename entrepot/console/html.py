"""HTML made of elements. Text is escaped wherever it comes from; only `el` makes what is not.

Names of repositories, tags, reasons of failures: what a page shows was written by others. So there
is no way to put markup into a page but to call for an element.
"""

import html
from collections.abc import Iterable
from typing import TypeAlias, Union

_VOID = frozenset({"br", "input", "link", "meta"})


class Html(str):
    """Markup that is safe to stand in a page."""

    __slots__ = ()


# Quoted, as it is about itself; Html is a str that is not escaped once more.
Child: TypeAlias = Union[str, int, "Iterable[Child]", None]
Attribute: TypeAlias = str | float | bool | None

NOTHING = Html("")


def el(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. `class_` is `class`, `data_key` is `data-key`; True: no value, None: left out."""
    opening = f"{name}{''.join(_attribute(*each) for each in attributes.items())}"
    return Html(f"<{opening}>" if name in _VOID else f"<{opening}>{together(*children)}</{name}>")


def together(*children: Child) -> Html:
    """Children without an element around them."""
    return Html("".join(map(_child, children)))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return html.escape(str(child))
    return "".join(map(_child, child))


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
