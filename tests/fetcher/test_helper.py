"""Credential helpers, as real programs."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fetcher.helper import AGAIN, Helper
from tests.fetcher.clock import Clock
from tests.waiting import until

HOST = "auth.docker.io"
ANSWER = """print('{"ServerURL": "x", "Username": "mary", "Secret": "s3cret"}')"""


class Program:
    """A helper program that notes what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "docker-credential-test"
        self._journal = folder / "journal"
        self.clock = Clock()
        self.does(ANSWER)

    def does(self, body: str) -> None:
        """What it does from now on, having noted its arguments and its input."""
        self.path.write_text(
            f"#!{sys.executable}\nimport os, signal, sys, time\n"
            f"with open({str(self._journal)!r}, 'a') as journal:\n"
            f"    print(*sys.argv[1:], sys.stdin.read(), file=journal)\n{body}\n"
        )
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    @property
    def asked(self) -> list[str]:
        return self._journal.read_text().splitlines() if self._journal.exists() else []

    def helper(self, lifetime: float | None = None, **settings: Any) -> Helper:
        return Helper("hub", str(self.path), lifetime, clock=self.clock, **settings)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_it_is_run_with_get_and_told_the_host(program: Program) -> None:
    assert program.helper().account(HOST) == ("mary", "s3cret")
    assert program.asked == [f"get {HOST}"]


def test_arguments_may_be_given(program: Program) -> None:
    helper = Helper("hub", f"{program.path} --profile 'a b'", None)
    assert helper.account(HOST) == ("mary", "s3cret")
    assert program.asked == [f"--profile a b get {HOST}"]


def test_a_program_whose_path_has_a_blank_in_it_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    folder.mkdir()
    assert Program(folder).helper().account(HOST) == ("mary", "s3cret")


@pytest.mark.parametrize(("lifetime", "runs"), [(None, 1), (3600.0, 2), (0.0, 4)])
def test_an_account_is_kept_for_its_lifetime(
    program: Program, lifetime: float | None, runs: int
) -> None:
    helper = program.helper(lifetime)
    for pause in (0, 1000, 1000, 2000):
        program.clock.now += pause
        assert helper.account(HOST)
    assert len(program.asked) == runs


def test_every_host_has_its_own(program: Program) -> None:
    helper = program.helper()
    for host in (HOST, "registry.example:5000", HOST):
        assert helper.account(host)
    assert program.asked == [f"get {HOST}", "get registry.example:5000"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{ANSWER}; sys.exit(3)", "it ended with status 3"),
        ("print('no credentials for s3cret')", "its output is not what"),
        ("print('[]')", "its output is not what"),
        ("""print('{"Username": "mary"}')""", "its output is not what"),
        ("""print('{"Username": "mary", "Secret": ["s3cret"]}')""", "is no text"),
        ("print('s3cret' * 100_000)", "it wrote more than"),
        ("signal.pause()", "it took longer than 0.5 seconds"),
        ("sys.stderr.write('s3cret'); os.close(1); signal.pause()", "it took longer than"),
    ],
)
def test_what_goes_wrong_means_anonymous_and_is_logged_without_its_output(
    program: Program, body: str, reason: str
) -> None:
    program.does(body)
    helper = program.helper(timeout=0.5 if "pause" in body else 20.0)
    with capture_logs() as lines:
        assert helper.account(HOST) is None
    (line,) = lines
    assert line["reason"].startswith(reason) or reason in line["reason"]
    assert "s3cret" not in str(line)


def test_a_program_that_is_not_there_means_anonymous() -> None:
    assert Helper("hub", "/no/such/program", None).account(HOST) is None


def test_a_program_that_does_not_read_its_input_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "helper"
    path.write_text("""#!/bin/sh\nexec <&-\necho '{"Username": "u", "Secret": "p"}'\n""")
    path.chmod(0o755)
    assert Helper("hub", str(path), None).account("h" * 100_000) == ("u", "p")


def test_an_empty_account_is_none(program: Program) -> None:
    program.does("""print('{"Username": "", "Secret": ""}')""")
    assert program.helper().account(HOST) is None


def test_after_a_failure_it_is_not_run_for_every_request(program: Program) -> None:
    program.does("sys.exit(1)")
    helper = program.helper(0.0)
    for _ in range(5):
        assert helper.account(HOST) is None
    assert len(program.asked) == 1
    program.does(ANSWER)
    program.clock.now += AGAIN
    assert helper.account(HOST) == ("mary", "s3cret")


def test_an_account_that_was_not_taken_is_told_anew(program: Program) -> None:
    helper = program.helper()
    helper.account(HOST)
    helper.forget(HOST)  # just told: it would be the same
    helper.account(HOST)
    assert len(program.asked) == 1
    program.clock.now += AGAIN
    helper.forget(HOST)
    helper.account(HOST)
    assert len(program.asked) == 2


def test_what_a_program_started_ends_with_it(program: Program, tmp_path: Path) -> None:
    child = tmp_path / "child"
    program.does(
        f"pid = os.fork()\nif pid:\n    open({str(child)!r}, 'w').write(str(pid))\nsignal.pause()"
    )
    assert program.helper(timeout=5.0).account(HOST) is None
    pid = int(child.read_text())

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    until(is_gone, what="the child's end")
    assert os.getpid() != pid
