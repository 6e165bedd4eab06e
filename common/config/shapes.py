"""What a configuration's schema is made of.

A schema is one tree of shapes. Overriding by environment variables walks it by Go's field names,
reading walks it by the file's keys, showing walks it to write values back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from common.config.tree import Node, Scalar, Table


@dataclass(frozen=True)
class Leaf:
    """One value.

    `read` makes it from the text as written and raises ValueError; `expected` says what would be
    right. `show` gives what a file would hold for it. `advise` may have a warning about a text that
    `read` accepts. `kind` is what docs/configuration.md calls such a value.
    """

    read: Callable[[str], Any]
    expected: str
    show: Callable[[Any], Any] = lambda value: value
    advise: Callable[[str], str | None] = lambda _text: None
    kind: str = "text"


@dataclass(frozen=True)
class Anything:
    """Go's `interface{}`: whatever is written there, not looked at."""


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: "Shape"


@dataclass(frozen=True)
class TableOf:
    """A mapping whose keys are the user's."""

    item: "Shape"


@dataclass(frozen=True)
class Verdict:
    """Why a setting of distribution's is not used here; `refused` says it must not be there at all.

    `text` says what holds instead, or what to do. It is spoken when `when` holds of what is set.
    """

    text: str
    refused: bool = False
    when: Callable[[Node], bool] = lambda node: not node.is_empty


@dataclass(frozen=True)
class Key:
    """A key of a section, and what is thought of it."""

    shape: "Shape"
    verdict: Verdict | None = None
    # The name in environment variables where distribution's Go field is not called as its key.
    variable: str | None = None


@dataclass(frozen=True)
class Section:
    """A mapping with known keys.

    `model` is the dataclass it is read into; without one nothing in it is used.
    `is_map` where distribution holds it as a map rather than a struct: overrides then create keys,
    in lower case. `word` where a bare word stands for a mapping with that one, empty, entry.
    `inlined` is the Go field whose name may also stand, in variables, for this very section.
    """

    keys: Mapping[str, Key]
    model: type | None = None
    is_map: bool = False
    word: bool = False
    inlined: str | None = None

    def variables(self) -> dict[str, str]:
        """The file's key for each name in environment variables."""
        return {key.variable or name.upper(): name for name, key in self.keys.items()}

    def entries(self, node: Node | None) -> dict[str, Node] | None:
        """What `node` holds for this section; None where it is no mapping at all."""
        if isinstance(node, Table):
            return node.entries
        if node is None or (isinstance(node, Scalar) and node.is_empty):
            return {}
        if self.word and isinstance(node, Scalar):
            return {node.text: Table({}, node.origin)}
        return None


_SHAPE = "shape"
_VARIABLE = "variable"
Shape: TypeAlias = Leaf | Anything | ListOf | TableOf | Section


def setting(shape: Shape, default: Any) -> Any:
    """A field of a model, read by `shape`."""
    return field(default=default, metadata=shaped(shape))


def shaped(shape: Shape, *, variable: str | None = None) -> dict[str, Any]:
    """The metadata of a field that is read by `shape`; `variable` as in Key."""
    return {_SHAPE: shape, _VARIABLE: variable}


def shapes_of(model: type) -> dict[str, Shape]:
    """The shape of each field of a model that has one."""
    return {item.name: item.metadata[_SHAPE] for item in fields(model) if _SHAPE in item.metadata}


def section(model: type, *, is_map: bool = False, **unused: Key) -> Section:
    """The section that is read into `model`; `unused` are the keys of it that only have a verdict."""
    used = {
        item.name: Key(item.metadata[_SHAPE], variable=item.metadata[_VARIABLE])
        for item in fields(model)
        if _SHAPE in item.metadata
    }
    return Section({**used, **unused}, model=model, is_map=is_map)


def names(text: str = "", **shaped: Shape | Key) -> Section:
    """A section of which nothing is used, with these keys."""
    keys = {name: Key(Anything()) for name in text.split()}
    for name, shape in shaped.items():
        keys[name] = shape if isinstance(shape, Key) else Key(shape)
    return Section(keys)


def unused(
    text: str, shape: Shape | None = None, *, when: Callable[[Node], bool] | None = None
) -> Key:
    """A key that is accepted, with a warning."""
    return Key(shape or Anything(), Verdict(text, when=when) if when else Verdict(text))


def refused(
    text: str, shape: Shape | None = None, *, when: Callable[[Node], bool] | None = None
) -> Key:
    """A key that makes the configuration unusable."""
    verdict = Verdict(text, refused=True, when=when) if when else Verdict(text, refused=True)
    return Key(shape or Anything(), verdict)
