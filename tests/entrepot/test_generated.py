"""What is made of the parser: completion and the manual page."""

import shutil
import subprocess
from pathlib import Path

import pytest

from entrepot import completion, manual, parser
from entrepot.commands import COMMANDS

ROOT = Path(__file__).parents[2]
NAMES = {command.name for command in COMMANDS}


def complete(line: str, cwd: Path | None = None) -> set[str]:
    """What bash offers at the end of `line`."""
    words = line.split(" ")
    program = (
        f"{completion.script('bash', parser.build())}\n"
        f"COMP_WORDS=({' '.join(word or repr('') for word in words)})\n"
        f"COMP_CWORD={len(words) - 1}\n_entrepot\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", program], capture_output=True, text=True, check=True, cwd=cwd
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands() -> None:
    assert complete("entrepot ") == {*NAMES, "--help", "--version"}
    assert complete("entrepot st") == {"status"}


def test_bash_completes_a_commands_options_and_choices() -> None:
    assert complete("entrepot warm --pl") == {"--platform"}
    assert complete("entrepot queue re") == {"retry"}
    assert complete("entrepot completion ") == {"bash", "zsh", "fish", "-h", "--help"}
    assert complete("entrepot status --json --wa") == {"--watch"}


def test_bash_completes_files_where_one_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "images.txt").touch()
    assert complete("entrepot warm --from ima", tmp_path) == {"images.txt"}
    assert complete("entrepot serve ima", tmp_path) == {"images.txt"}
    assert complete("entrepot warm --jobs ", tmp_path) == set()
    assert complete("entrepot warm ima", tmp_path) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_told_of_every_command_and_option(shell: str) -> None:
    script = completion.script(shell, parser.build())
    for name in NAMES:
        assert name in script
    for option in ("platform", "password-file", "dry-run", "watch"):
        assert option in script
    if shutil.which(shell):
        check = ["--no-execute"] if shell == "fish" else ["-n"]
        subprocess.run([shell, *check], input=script, text=True, check=True)


def test_the_manual_page_in_the_repository_is_the_one_that_is_made_now() -> None:
    kept = (ROOT / "docs" / "entrepot.1").read_text()
    assert kept == manual.page(), "python -m entrepot.manual > docs/entrepot.1"


def test_the_manual_page_tells_of_every_command_and_option() -> None:
    page = manual.page()
    for command in COMMANDS:
        assert f".SS entrepot {command.name} " in page
    assert r"\fB\-\-password\-file\fR \fIFILE\fR" in page


def test_the_manual_page_is_understood_without_a_warning() -> None:
    argv = ["groff", "-man", "-Tutf8", "-ww", "-Kutf8"]
    done = subprocess.run(argv, input=manual.page(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
