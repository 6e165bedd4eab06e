"""docs/reliability.md names a test for every fault: each of them exists."""

import ast
import re
from pathlib import Path

import pytest

PAGE = Path("docs/reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", PAGE)))


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_in_a_table_has_its_test() -> None:
    rows = [line for line in PAGE.split("## What is known")[0].splitlines() if line[:2] == "| "]
    faults = [row for row in rows if not row.startswith("| fault |")]
    assert faults
    assert [row for row in faults if "`tests/" not in row] == []
