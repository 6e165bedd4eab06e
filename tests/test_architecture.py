"""The rules of the house that the code itself can be asked about."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Who may import whom, among our own packages. Anything else would let a frontend reach the
# fetcher's credentials, or a role need another role's machine.
ALLOWED = {
    "common": {"common"},
    "frontend": {"frontend", "common"},
    "fetcher": {"fetcher", "common"},
    "janitor": {"janitor", "common"},
    "entrepot": {"entrepot", "frontend", "fetcher", "janitor", "common"},
}
OURS = {*ALLOWED, "tests", "bench"}

# Paths of the machine that something was made on, and hosts that the ways to install things
# leave to their configuration. Spelt so that this file does not contain them.
FOREIGN = {
    "a working folder": re.compile(r"(?<![\w}>.])/(work|tmp)/"),
    "a package registry": re.compile(r"pypi\.(org|io)|pythonhosted\.org"),
}
TEXT = {"", ".py", ".toml", ".md", ".yml", ".yaml", ".lock", ".cfg", ".sh", ".txt", ".html", ".js"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every import, in functions and `if TYPE_CHECKING` too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            top = (node.module or "").partition(".")[0]
            yield node.lineno, package if node.level else top
        elif isinstance(node, ast.Call) and _imports_by_name(node):
            yield node.lineno, str(ast.literal_eval(node.args[0])).partition(".")[0]


def _imports_by_name(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    named = bool(call.args) and isinstance(call.args[0], ast.Constant)
    return named and name in ("__import__", "import_module", "importlib.import_module")


def test_imports_are_found_wherever_they_stand() -> None:
    source = (
        "import frontend.app\n"
        "def late():\n    from fetcher import worker\n    from . import sibling\n"
        "    importlib.import_module('janitor.worker')\n"
    )
    assert set(imported(source, "common")) == {
        (1, "frontend"),
        (3, "fetcher"),
        (4, "common"),
        (5, "janitor"),
    }


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_follow_the_arrows(package: str) -> None:
    assert modules(package)
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {top}"
        for path in modules(package)
        for line, top in imported(path.read_text(), package)
        if top in OURS - ALLOWED[package]
    ]
    assert wrong == []


def repository_files() -> list[Path]:
    """What git has, and what it would take: files that are not ignored."""
    # Whoever the checkout belongs to: it is only listed.
    listing = "git -c safe.directory=* ls-files -z --cached --others --exclude-standard"
    names = subprocess.run(listing.split(), cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in names.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_no_file_names_where_it_was_made(foreign: str) -> None:
    files = repository_files()
    assert Path(__file__) in files
    naming = [
        str(path.relative_to(ROOT))
        for path in files
        if FOREIGN[foreign].search(path.read_text(errors="replace"))
    ]
    assert naming == []
