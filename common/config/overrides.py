"""`REGISTRY_…` variables, by distribution's rules (configuration/parser.go).

Variables apply in the order of their names, so that `REGISTRY_STORAGE` replaces the section before
`REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY` sets a key in it. The name is split at `_`; each part is
a Go field's name in capitals, a map's key, or a list's index; the value is YAML.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from common.config.findings import Findings
from common.config.shapes import Anything, Leaf, ListOf, Section, Shape, TableOf
from common.config.tree import Items, Node, NotReadable, Scalar, Table, parse_value

PREFIX = "REGISTRY_"
CONFIGURATION_PATH = "REGISTRY_CONFIGURATION_PATH"
# Variables that begin alike and change nothing here, and why.
_OTHERS = {
    "REGISTRY_VERSION": "the version is the file's",
    "REGISTRY_AUTH_FILE": "it names the accounts of podman and skopeo; there is no setting auth.file",
}


class _Ignored(Exception):
    """The variable changes nothing; the message says why."""


class _Misplaced(Exception):
    """The variable cannot be applied, and distribution would not start either."""


def apply(schema: Section, root: Node, environ: Mapping[str, str], findings: Findings) -> Node:
    """`root` with every variable applied; those without effect are warned about, by name alone."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == CONFIGURATION_PATH:
            continue
        variable = _Variable(name, environ[name])
        try:
            if name in _OTHERS:
                raise _Ignored(_OTHERS[name])
            root = variable.set_in(schema, root, name.split("_")[1:])
        except _Ignored as reason:
            findings.warn_about(name, f"ignored: {reason}")
        except (_Misplaced, NotReadable) as error:
            findings.wrong(tuple(variable.path), f"expected {error}", origin=name)
    return root


class _Variable:
    """One variable on its way down the tree; `path` is the file's key reached so far."""

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.path: list[str] = []
        self._value = value

    def set_in(self, shape: Shape, node: Node | None, rest: list[str]) -> Node:
        """What stands in place of `node` when the value is set at `rest` below it."""
        if not rest:
            return self._parsed()
        if isinstance(shape, Section):
            return self._in_section(shape, node, rest)
        if isinstance(shape, ListOf) or isinstance(node, Items):
            return self._in_list(shape, node, rest)
        if isinstance(shape, Leaf) or (isinstance(node, Scalar) and not node.is_empty):
            raise _Ignored(f"{'.'.join(self.path)} is a single value, there is nothing below it")
        return self._in_map(Section({}, is_map=True), shape, node, rest)

    def _parsed(self) -> Node:
        try:
            return parse_value(self._value, self.name)
        except NotReadable as error:
            raise _Misplaced(f"YAML, found {error}") from None

    def _in_section(self, shape: Section, node: Node | None, rest: list[str]) -> Node:
        if shape.is_map:
            return self._in_map(shape, TableOf(Anything()), node, rest)
        key = shape.variables().get(rest[0])
        if key is None and rest[0] == shape.inlined and len(rest) > 1:
            return self._in_section(shape, node, rest[1:])
        if key is None:
            raise _Ignored(self._unknown(shape, rest))
        return self._enter(key, shape.keys[key].shape, self._entries(shape, node), rest)

    def _in_map(self, known: Section, shape: Shape, node: Node | None, rest: list[str]) -> Node:
        entries = self._entries(known, node)
        # Go looks for a key that is there already only on the way down; at the end of the name it
        # always makes the one in lower case.
        same = [key for key in entries if key.upper() == rest[0]] if len(rest) > 1 else []
        key = same[0] if same else rest[0].lower()
        item = shape.item if isinstance(shape, TableOf) else Anything()
        below = known.keys[key].shape if key in known.keys else item
        if not same:
            entries.pop(key, None)
        return self._enter(key, below, entries, rest)

    def _enter(self, key: str, shape: Shape, entries: dict[str, Node], rest: list[str]) -> Node:
        self.path.append(key)
        entries[key] = self.set_in(shape, entries.get(key), rest[1:])
        return Table(entries, self.name)

    def _in_list(self, shape: Shape, node: Node | None, rest: list[str]) -> Node:
        items = list(node.items) if isinstance(node, Items) else []
        self.path.append(rest[0])
        if not (rest[0].isascii() and rest[0].isdecimal() and int(rest[0]) <= len(items)):
            raise _Misplaced(
                f"an index from 0 to {len(items)} in {self.name}; variables apply in the order of"
                " their names, so 10 comes before 2: write long lists in the file"
            )
        index = int(rest[0])
        item = shape.item if isinstance(shape, ListOf) else Anything()
        below = self.set_in(item, items[index] if index < len(items) else None, rest[1:])
        items[index : index + 1] = [below]
        return Items(items, self.name)

    def _entries(self, shape: Section, node: Node | None) -> dict[str, Node]:
        entries = shape.entries(node)
        if entries is None:
            raise _Ignored(f"{'.'.join(self.path)} is not a section in the file")
        return dict(entries)

    def _unknown(self, shape: Section, rest: list[str]) -> str:
        variables = shape.variables()
        # Where Go's name differs from the file's, the file's is the likeliest mistake.
        near = [name for name, key in variables.items() if key.upper() == rest[0]]
        near = near or get_close_matches(rest[0], variables, 1)
        if not near:
            return "no such setting"
        given = self.name.split("_")
        given[len(given) - len(rest)] = near[0]
        return f"no such setting; did you mean {'_'.join(given)}?"
