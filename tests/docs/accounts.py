"""What becomes of each command that a page shows: tests/docs/commands.yml, read."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.docs.pages import ROOT

TABLE = Path(__file__).with_name("commands.yml")


@dataclass(frozen=True)
class Accounts:
    """`run`: by tests/docs/test_running.py; `tested`: the test and its words; `excused`: why not."""

    run: list[str]
    tested: dict[str, tuple[str, str]]
    excused: dict[str, str]

    @property
    def all(self) -> list[str]:
        """Every command in it, as often as it stands there."""
        return [*self.run, *self.tested, *self.excused]

    @property
    def programs(self) -> set[str]:
        """What they begin with."""
        return {command.split()[0] for command in self.all}


@cache
def accounts() -> Accounts:
    """The table."""
    read: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    excused = [
        (command, group["reason"]) for group in read["not run"] for command in group["commands"]
    ]
    assert len(dict(excused)) == len(excused), "a command is excused twice"
    tested = {command: (test, words) for command, (test, words) in read["tested"].items()}
    return Accounts(read["run"], tested, dict(excused))


def source_of(test: str) -> str:
    """The text of a test, or of a fixture; KeyError where there is none."""
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    raise KeyError(test)
