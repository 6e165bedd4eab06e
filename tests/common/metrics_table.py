"""The rows of docs/metrics.md; `python -m tests.common.metrics_table` brings them up to date."""

import re
from pathlib import Path

from common.metrics.catalogue import REGISTRY
from common.metrics.kinds import Definition

DOCUMENT = Path("docs/metrics.md")

_ROW = re.compile(r"^\| `((?:entrepot|registry)_\w+)` \|.*$", re.MULTILINE)


def written() -> dict[str, str]:
    """The rows there are, by metric."""
    return {found[1]: found[0] for found in _ROW.finditer(DOCUMENT.read_text())}


def meant() -> dict[str, str]:
    """The rows there should be."""
    return {name: _row(metric.definition) for name, metric in REGISTRY.metrics.items()}


def _row(definition: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in definition.labels) or "—"
    cells = (f"`{definition.name}`", definition.kind, labels, definition.help.rstrip("."))
    return f"| {' | '.join((*cells, definition.fold.value))} |"


def main() -> None:
    """Rewrite rows, put new ones after the one they follow, drop what is no more."""
    rows = meant()
    text = DOCUMENT.read_text()
    following = dict(zip(rows, list(rows)[1:], strict=False))
    for name, row in rows.items():
        if name in written():
            text = _ROW.sub(lambda found, n=name, r=row: r if found[1] == n else found[0], text)  # type: ignore[misc]
        else:
            before = next(known for known, after in following.items() if after == name)
            text = text.replace(rows[before], f"{rows[before]}\n{row}")
        DOCUMENT.write_text(text)
    kept = [line for line in text.splitlines() if not (f := _ROW.match(line)) or f[1] in rows]
    DOCUMENT.write_text("\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
