import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.version import VERSION
from entrepot import cli, parser
from entrepot.commands import COMMANDS, Command


def entrepot(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as users do."""
    command = [sys.executable, "-P", "-m", "entrepot", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


@pytest.mark.parametrize(
    "arguments",
    [(), ("dance",), ("serve", "one.yml", "two.yml"), ("check", "--loudly"), ("demo", "one.yml")],
)
def test_wrong_usage_is_status_2_and_says_how_it_is_used(arguments: tuple[str, ...]) -> None:
    result = entrepot(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: entrepot")


@pytest.mark.parametrize("command", ["serve", "frontend", "fetcher", "janitor", "check"])
def test_a_configuration_that_cannot_be_used_is_status_2_with_a_line_for_each_problem(
    command: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.yml"
    config.write_text("version: 0.1\nhtpp: {}\nproxy: {remoteurl: nowhere}\n")
    result = entrepot(command, str(config))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert any("htpp" in line and "http" in line for line in lines)
    assert any("proxy.remoteurl" in line for line in lines)


def test_a_configuration_that_is_not_there_is_status_2() -> None:
    result = entrepot("serve", "/nowhere/config.yml")
    assert result.returncode == 2
    assert "/nowhere/config.yml" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"entrepot {VERSION}\n"


def test_help_names_the_commands_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"\n    {command.name}\s", shown)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_with_examples_that_it_takes_itself(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command.name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    for example in command.examples:
        assert f"\n  {example}\n" in shown
        words = re.split(r" [>|]|<\(|\)", example.partition("entrepot ")[2])[0].split()
        assert parser.build().parse_args(words).command == command.name


def test_the_command_line_loads_nothing_of_the_roles_it_does_not_run() -> None:
    program = (
        "import sys; from entrepot import cli, parser; parser.build();"
        "print({'falcon', 'gunicorn', 'pika', 'requests', 'yaml', 'structlog', 'frontend', 'fetcher', 'janitor'}"
        " & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout == b"set()\n"


def test_folders_that_bear_our_packages_names_are_not_taken_for_them(tmp_path: Path) -> None:
    for name in ("common", "entrepot", "frontend"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not the real one')")
    assert entrepot("--version", cwd=tmp_path).returncode == 0
