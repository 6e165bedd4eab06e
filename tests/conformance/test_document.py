"""docs/conformance.md says what is tested, and everything that is tested here."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "conformance.md"
ELSEWHERE = HERE.parent / "fetcher" / "test_upstream_referrers.py"


def declared_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_named_exists_and_every_test_is_named() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text()))
    ours = set().union(
        *(declared_in(path) for path in HERE.glob("test_*.py") if path != Path(__file__))
    )
    assert named - declared_in(ELSEWHERE) == ours
