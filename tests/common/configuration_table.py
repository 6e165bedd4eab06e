"""The table of distribution's keys in docs/configuration.md, made from the schema.

`python -m tests.common.configuration_table` writes it anew.
"""

from pathlib import Path

from common.config.schema import SCHEMA
from common.config.shapes import Anything, Key, ListOf, Section, Shape, TableOf
from tests.common import marked
from tests.common.distribution_keys import BOTH, ONLY_2_8, ONLY_3

DOCUMENT = Path(__file__).parents[2] / "docs/configuration.md"
NAME = "fates"
USED = "used"


def table() -> str:
    """The rows, one for each key or for the section whose fate it shares."""
    rows = {}
    for key in sorted([*BOTH, *ONLY_2_8, *ONLY_3]):
        place, fate = fate_of(key)
        rows[place] = f"| `{place}` | {_version(place)} | {fate} |"
    return "\n".join(["| key | in distribution | here |", "|---|---|---|", *rows.values()])


def fate_of(path: str) -> tuple[str, str]:
    """The key that decides about `path`, itself or a section above it, and what becomes of it.

    Raises KeyError where the schema does not know it.
    """
    shape: Shape = SCHEMA
    used = True
    parts = path.split(".")
    for depth, part in enumerate(parts, 1):
        if isinstance(shape, ListOf | TableOf):
            shape = shape.item
            continue
        if isinstance(shape, Anything):
            continue
        if not isinstance(shape, Section):
            raise KeyError(path)
        used = shape.model is not None
        key = shape.keys[part]
        if key.verdict is not None:
            return ".".join(parts[:depth]), _verdict(key)
        shape = key.shape
    return path, USED if used else "accepted; decides nothing by itself"


def _verdict(key: Key) -> str:
    assert key.verdict is not None
    text = key.verdict.text
    first = "refused" if key.verdict.refused else "warned about"
    return text if text.startswith("refused") else f"{first}: {text}"


def _version(place: str) -> str:
    def below(keys: list[str]) -> bool:
        return any(key == place or key.startswith(f"{place}.") for key in keys)

    if below(BOTH) or (below(ONLY_2_8) and below(ONLY_3)):
        return "2.8, 3"
    return "2.8" if below(ONLY_2_8) else "3"


def written() -> str:
    """The table as the document has it."""
    return marked.written(DOCUMENT, NAME)


if __name__ == "__main__":
    marked.write(DOCUMENT, NAME, table())
