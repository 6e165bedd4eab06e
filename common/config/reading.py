"""From a tree to models: every value checked, every unknown key named, every verdict spoken."""

import contextlib
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from common.config.findings import Findings, Path
from common.config.shapes import Anything, Key, Leaf, ListOf, Section, Shape, TableOf, Verdict
from common.config.tree import Items, Node, Scalar, Table

_ABSENT = object()
# Of two words, as difflib measures it.
_MISSPELT, _SIMILAR = 0.8, 0.6


def read(schema: Section, root: Node, findings: Findings) -> Any:
    """The schema's model of `root`; what cannot be read is left at its default, and told."""
    return _Reader(schema, findings).read(schema, root, ())


def places(schema: Section, path: Path = ()) -> Iterator[Path]:
    """Every key of the schema, as a path."""
    for name, key in schema.keys.items():
        yield (*path, name)
        if isinstance(key.shape, Section):
            yield from places(key.shape, (*path, name))


class _Reader:
    def __init__(self, schema: Section, findings: Findings) -> None:
        self._schema = schema
        self._findings = findings

    def read(self, shape: Shape, node: Node, path: Path) -> Any:
        if isinstance(shape, Section):
            return self._section(shape, node, path)
        if isinstance(shape, Anything) or (isinstance(node, Scalar) and node.is_empty):
            return _ABSENT
        if isinstance(shape, Leaf):
            return self._leaf(shape, node, path)
        if isinstance(shape, ListOf):
            return self._list(shape, node, path)
        return self._table(shape, node, path)

    def _leaf(self, leaf: Leaf, node: Node, path: Path) -> Any:
        if isinstance(node, Scalar):
            with contextlib.suppress(ValueError):
                value = leaf.read(node.text)
                if advice := leaf.advise(node.text):
                    self._findings.warn(path, advice)
                return value
        # The value is not repeated: it may well be a password in the wrong place.
        self._findings.wrong(path, leaf.expected, node.origin)
        return _ABSENT

    def _list(self, shape: ListOf, node: Node, path: Path) -> Any:
        if not isinstance(node, Items):
            self._findings.wrong(path, "expected a list", node.origin)
            return _ABSENT
        read = [
            self.read(shape.item, item, (*path, str(index)))
            for index, item in enumerate(node.items)
        ]
        return [value for value in read if value is not _ABSENT]

    def _table(self, shape: TableOf, node: Node, path: Path) -> Any:
        if not isinstance(node, Table):
            self._findings.wrong(path, "expected a mapping", node.origin)
            return _ABSENT
        read = {
            name: self.read(shape.item, entry, (*path, name))
            for name, entry in node.entries.items()
        }
        return {name: value for name, value in read.items() if value is not _ABSENT}

    def _section(self, shape: Section, node: Node, path: Path) -> Any:
        entries = shape.entries(node)
        if entries is None:
            self._findings.wrong(path, "expected a mapping", node.origin)
            return _ABSENT
        values = {}
        for name, entry in entries.items():
            at = (*path, name)
            if name not in shape.keys:
                self._findings.wrong(at, self._unknown(shape, name), entry.origin)
            else:
                values[name] = self._entry(shape.keys[name], entry, at)
        return shape.model(**_present(shape, values)) if shape.model else _ABSENT

    def _entry(self, key: Key, node: Node, path: Path) -> Any:
        if key.verdict is not None and key.verdict.when(node):
            self._speak(key.verdict, node, path)
        return self.read(key.shape, node, path)

    def _speak(self, verdict: Verdict, node: Node, path: Path) -> None:
        if verdict.refused:
            self._findings.wrong(path, verdict.text, node.origin)
        else:
            self._findings.warn(path, verdict.text)

    def _unknown(self, shape: Section, name: str) -> str:
        """What to say of a key nobody knows: a misspelt one, one that belongs elsewhere, a similar one."""
        for similarity in (_MISSPELT, _SIMILAR):
            if near := get_close_matches(name.lower(), shape.keys, 1, similarity):
                return f"unknown key; did you mean {near[0]}?"
            same = [place for place in places(self._schema) if place[-1] == name.lower()]
            if same:
                return f"unknown key here; did you mean {'.'.join(same[0])}?"
        return f"unknown key; expected one of {', '.join(shape.keys)}"


def _present(shape: Section, values: dict[str, Any]) -> dict[str, Any]:
    """The values of the model's own fields; what is absent keeps the model's default."""
    return {
        name: value
        for name, value in values.items()
        if value is not _ABSENT and shape.keys[name].verdict is None
    }
