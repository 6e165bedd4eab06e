"""YAML as a tree that keeps every scalar as it was written, and where.

distribution decodes a scalar by the type of the field it lands in: `password: 0123` is the text
`0123`, `version: 0.1` the text `0.1`. A loader that resolves types first has lost that by the time
the field is known, so scalars stay text here until a setting reads them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as written; `origin` is `file:line` or the name of an environment variable."""

    # Not in repr: it may be a password.
    text: str = field(repr=False)
    is_null: bool
    origin: str

    @property
    def is_empty(self) -> bool:
        """Nothing was written: null, or the empty string, which Go's zero value cannot tell apart."""
        return self.is_null or not self.text


@dataclass(slots=True)
class Items:
    """A list."""

    items: "list[Node]"
    origin: str

    @property
    def is_empty(self) -> bool:
        """No item holds anything."""
        return all(item.is_empty for item in self.items)


@dataclass(slots=True)
class Table:
    """A mapping, in the order written."""

    entries: "dict[str, Node]"
    origin: str

    @property
    def is_empty(self) -> bool:
        """No entry holds anything."""
        return all(entry.is_empty for entry in self.entries.values())


Node: TypeAlias = Scalar | Items | Table


class NotReadable(Exception):
    """A text is not YAML that a configuration can be made of.

    `origin` says where, the message why; it quotes nothing from the text, which may hold secrets.
    """

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(reason)
        self.origin = origin


def parse_file(text: str, name: str) -> Node:
    """The tree of a file's text; origins are `name:line`. Raises NotReadable."""
    return _Reader(text, name, numbered=True).tree()


def parse_value(text: str, name: str) -> Node:
    """The tree of an environment variable's value; the origin is its name. Raises NotReadable."""
    return _Reader(text, name, numbered=False).tree()


def scalars(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Scalar]]:
    """Every scalar below `node`, with its path."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield from scalars(item, (*path, str(index)))
    else:
        for name, entry in node.entries.items():
            yield from scalars(entry, (*path, name))


class _Reader:
    def __init__(self, text: str, name: str, *, numbered: bool) -> None:
        self._text = text
        self._name = name
        self._numbered = numbered
        self._open: set[int] = set()

    def tree(self) -> Node:
        try:
            self._loader = yaml.SafeLoader(self._text)
            node = self._loader.get_single_node()
            if node is None:
                return Scalar("", is_null=True, origin=self._name)
            return self._node(node)
        except yaml.MarkedYAMLError as error:
            raise NotReadable(self._origin(error.problem_mark), _reason(error)) from None
        except RecursionError:
            raise NotReadable(self._name, "lists or mappings nested too deeply") from None
        except yaml.YAMLError:
            raise NotReadable(self._name, "a character that YAML does not allow") from None

    def _origin(self, mark: yaml.Mark | None) -> str:
        return f"{self._name}:{mark.line + 1}" if mark and self._numbered else self._name

    def _node(self, node: yaml.Node, key: yaml.Node | None = None) -> Node:
        # A section begins where its name stands, not where the first key in it does.
        origin = self._origin((key or node).start_mark)
        if isinstance(node, yaml.ScalarNode):
            return Scalar(node.value, is_null=node.tag == _NULL, origin=origin)
        if id(node) in self._open:
            raise NotReadable(origin, "an alias that contains itself")
        # An alias yields a copy each time it is met: overriding one place must not change the other.
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._table(node, origin)
            return Items([self._node(item) for item in node.value], origin)
        finally:
            self._open.discard(id(node))

    def _table(self, node: yaml.MappingNode, origin: str) -> Table:
        self._refuse_doubles(node)
        self._loader.flatten_mapping(node)
        # After flattening, what `<<` brought stands first, so the mapping's own keys win.
        return Table({key.value: self._node(value, key) for key, value in node.value}, origin)

    def _refuse_doubles(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            origin = self._origin(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise NotReadable(origin, "a key that is not a plain word")
            if key.value in seen:
                raise NotReadable(origin, f"the key {key.value} for the second time")
            seen.add(key.value)


# What the scanner quotes: `'...'`, or `"'"`.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# A single character, written as Python writes it, or a token's name.
_TELLS_NOTHING = re.compile(r"\\?.|\\[xuU][0-9a-f]+|<[a-z ]+>")


def _reason(error: yaml.MarkedYAMLError) -> str:
    problem = _QUOTED.sub(_shown, error.problem or "something else")
    problem = re.sub(r"^expected (.+), but (?:found|got) (.+)", r"\2 instead of \1", problem)
    return (
        f"{problem.removeprefix('found ')}; quote a value that begins with one of * & ! % @ ` or"
        " holds ': ' or ' #'"
    )


def _shown(quoted: re.Match[str]) -> str:
    # Names of aliases and tags are quoted too, and an unquoted password that begins with `*` or `!`
    # looks like one.
    text = quoted[0][1:-1]
    return quoted[0] if _TELLS_NOTHING.fullmatch(text) else "(name withheld)"
