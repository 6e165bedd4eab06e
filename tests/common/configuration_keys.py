"""The tables of settings in docs/configuration.md: key, kind and default are the schema's and the
models', the meaning is docs/configuration.keys.yml's.

`python -m tests.common.configuration_keys` writes them anew.
"""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from common.config import upstreams
from common.config.model import Upstream
from common.config.schema import SCHEMA
from common.config.shapes import Leaf, ListOf, Section, Shape, TableOf
from tests.common import marked

DOCUMENT = Path(__file__).parents[2] / "docs/configuration.md"
MEANINGS = DOCUMENT.with_suffix(".keys.yml")
NAME = "keys"

# What is said of the default upstream goes for named ones.
_DEFAULT, _NAMED = "proxy.", "proxy.upstreams.N."


@dataclass(frozen=True)
class Setting:
    """A key that is used: its place in the file, what may be written, and what holds if nothing is.

    `default` is empty where the models have nothing to tell.
    """

    path: str
    kind: str
    default: str


@dataclass(frozen=True)
class Meaning:
    """What is to be said of a key; `default` in words where the models have none."""

    text: str
    default: str = ""


def settings() -> list[Setting]:
    """Every setting there is, in the schema's order; those of named upstreams once."""
    found = list(_below(SCHEMA, ""))
    paths = {setting.path for setting in found}
    return [
        setting
        for setting in found
        if not setting.path.startswith(_NAMED)
        or setting.path.replace(_NAMED, _DEFAULT) not in paths
    ]


def _below(section: Section, path: str) -> Iterator[Setting]:
    for name, key in section.keys.items():
        if key.verdict is None:
            yield from _of(key.shape, f"{path}{name}", _default(section, name))


def _of(shape: Shape, path: str, default: Any) -> Iterator[Setting]:
    if isinstance(shape, Section):
        if shape.model is not None:
            yield from _below(shape, f"{path}.")
    elif isinstance(shape, ListOf) and isinstance(shape.item, Section):
        yield from _below(shape.item, f"{path}.N.")
    else:
        yield Setting(path, kind(shape), _shown(shape, default))


def kind(shape: Shape) -> str:
    """What may be written there."""
    if isinstance(shape, Leaf):
        return shape.kind
    if isinstance(shape, ListOf):
        return f"list of {kind(shape.item)}s"
    if isinstance(shape, TableOf):
        return f"mapping of {'lists' if isinstance(shape.item, ListOf) else kind(shape.item) + 's'}"
    return "anything"


def _default(section: Section, name: str) -> Any:
    """What the section's model has where nothing is written; None where this says nothing."""
    if section.model is None:
        return None
    # What is written of an upstream has no defaults of its own: they are the upstream's.
    model: Any = Upstream if issubclass(section.model, upstreams.Account) else section.model
    field = next((each for each in fields(model) if each.name == name), None)
    # A factory's value may be of this machine, or of this moment.
    return None if field is None or field.default is MISSING else field.default


def _shown(shape: Shape, default: Any) -> str:
    if default is None or not isinstance(shape, Leaf):
        return ""
    shown = str(shape.show(default))
    written = shown.lower() if isinstance(default, bool) else shown
    return f"`{written}`" if written else ""


def meanings() -> dict[str, Meaning]:
    """By key."""
    read = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    return {
        key: Meaning(said) if isinstance(said, str) else Meaning(**said)
        for key, said in read.items()
    }


def tables() -> str:
    """A heading and a table for each section of the file."""
    said = meanings()
    parts = []
    for name, group in groupby(settings(), lambda setting: setting.path.partition(".")[0]):
        rows = [_row(setting, said[setting.path]) for setting in group]
        head = ["| key | kind | default | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([f"### {name}", "", *head, *rows]))
    return "\n\n".join(parts)


def _row(setting: Setting, meaning: Meaning) -> str:
    default = setting.default or meaning.default or "none"
    return f"| `{setting.path}` | {setting.kind} | {default} | {meaning.text} |"


def written() -> str:
    """The tables as the document has them."""
    return marked.written(DOCUMENT, NAME)


if __name__ == "__main__":
    marked.write(DOCUMENT, NAME, tables())
