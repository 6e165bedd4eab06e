"""Every command that a page shows is run by a test, or said to be run by none, and why."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from entrepot import parser
from tests.docs import pages
from tests.docs.accounts import accounts, source_of
from tests.docs.pages import PAGES, ROOT, Block, Shown, blocks, commands

SHOWN = commands(accounts().programs)

# In running text: words of a command, perhaps with what may be left out.
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def unaccounted(shown: list[Shown]) -> list[Shown]:
    known = set(accounts().all)
    return [each for each in shown if each.command not in known]


def test_every_command_shown_is_accounted_for() -> None:
    assert unaccounted(SHOWN) == [], "run it in a test, or say in tests/docs/commands.yml why not"


def test_no_account_is_of_a_command_that_no_page_shows_and_none_is_twice() -> None:
    shown = {each.command for each in SHOWN}
    assert [command for command in accounts().all if command not in shown] == []
    assert len(set(accounts().all)) == len(accounts().all)


@pytest.mark.parametrize("command", accounts().tested)
def test_the_test_that_is_named_does_it(command: str) -> None:
    test, words = accounts().tested[command]
    assert words in source_of(test)


def test_every_excuse_has_words() -> None:
    assert all(len(reason) > 10 for reason in accounts().excused.values())


@pytest.mark.parametrize(
    "block",
    ["    make mischief\n", "```\nmischief --now\n```\n", "```sh\nentrepot lend\n```\n"],
    ids=["indented", "fenced", "with its language"],
)
def test_a_command_that_is_added_to_a_page_is_noticed(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Text.\n\n{block}\nMore.\n")
    monkeypatch.setattr(pages, "PAGES", [page])
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    assert len(unaccounted(commands(accounts().programs))) == 1


def test_configurations_are_not_taken_for_commands() -> None:
    shown = [block for page in PAGES for block in blocks(page)]
    data = [block for block in shown if block.language in {"yaml", "json", "toml"}]
    assert len(data) >= 5
    assert all(pages.is_data(block.text) for block in data)
    assert not pages.is_data("make run")
    assert not pages.is_data("entrepot status --json | jq .queue")


def spans(beginning: str) -> list[tuple[str, str]]:
    """What pages say in running text that begins so."""
    return [
        (page.name, span)
        for page in PAGES
        for span in _SPAN.findall(re.sub(r"(?ms)^```.*?^```", "", page.read_text()))
        if span.startswith(beginning)
    ]


@pytest.mark.parametrize(("page", "span"), spans("entrepot "))
def test_a_command_of_ours_in_running_text_is_one_that_there_is(
    page: str, span: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(re.sub(r"[\[\]…]|COMMAND --help", "", span))[1:]
    if not words:
        return
    # A word may stand for the command as such.
    named = parser.build().parse_args([*words, "x"] if words == ["evict"] else words)
    assert named.command == words[0]


@pytest.mark.parametrize(("page", "span"), spans("make "))
def test_what_make_is_asked_for_in_running_text_it_can_do(page: str, span: str) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert span.split()[1] in targets


@pytest.mark.parametrize(("page", "span"), spans("python -m "))
def test_a_module_that_running_text_has_run_is_there(page: str, span: str) -> None:
    assert find_spec(span.split()[2]) is not None


def test_blocks_are_found_wherever_they_stand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("One:\n\n    a b\n\n    c\n\n~~~sh\nd\n~~~\ntext\n    no block\n")
    assert list(blocks(page)) == [Block(page, "", "a b\n\nc\n"), Block(page, "sh", "d")]
