"""The pages of the documentation, and what they show in blocks: commands, or data."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_SHELL = {"", "sh", "bash", "shell", "console"}


@dataclass(frozen=True)
class Block:
    """A block of code as a page has it; `language` is empty where none is said."""

    page: Path
    language: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A command, as a page shows it."""

    page: str
    command: str


def blocks(page: Path) -> Iterator[Block]:
    """The page's blocks, fenced or indented."""
    lines = page.read_text(encoding="utf-8").splitlines()
    after_blank = True
    while lines:
        line = lines.pop(0)
        if fence := re.fullmatch(r" {0,3}(```+|~~~+)\s*(\w*).*", line):
            yield Block(page, fence[2], "\n".join(_until(lines, fence[1])))
        elif line.startswith("    ") and after_blank:
            yield Block(page, "", "\n".join(each[4:] for each in (line, *_indented(lines))))
        after_blank = not line.strip()


def _until(lines: list[str], fence: str) -> Iterator[str]:
    while lines and not lines[0].strip().startswith(fence):
        yield lines.pop(0)
    if lines:
        lines.pop(0)


def _indented(lines: list[str]) -> Iterator[str]:
    while lines and (lines[0].startswith("    ") or not lines[0].strip()):
        yield lines.pop(0)


def commands(programs: set[str]) -> list[Shown]:
    """Every command that a page shows in a block.

    A block is one of commands unless it says that it is of something else, or can be read as data
    and does not begin a line with one of `programs`.
    """
    return [
        Shown(str(page.relative_to(ROOT)), command)
        for page in PAGES
        for block in blocks(page)
        if block.language in _SHELL
        for command in _commands(block.text, programs)
    ]


def _commands(text: str, programs: set[str]) -> list[str]:
    lines = [_bare(line) for line in text.replace("\\\n", " ").splitlines()]
    found = [" ".join(line.split()) for line in lines if line]
    if is_data(text) and not any(line.split()[0] in programs for line in found):
        return []
    return found


def _bare(line: str) -> str:
    """Without a prompt, and without the remark at its end."""
    return re.sub(r"(^|\s+)# .*$", "", line.strip().removeprefix("$ "))


def is_data(text: str) -> bool:
    """Whether it is of a configuration: a mapping or a list, in YAML, JSON or TOML."""
    for read in (yaml.safe_load, json.loads, tomllib.loads):
        try:
            value = read(text)
        except (yaml.YAMLError, ValueError):
            continue
        if isinstance(value, dict | list):
            return True
    return False
