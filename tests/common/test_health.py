"""Health checks against real files, folders and servers."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from common.config.secret import Secret, WebAddress
from common.health import Monitor, Watch, checks, monitor_of
from common.health.checks import Ill
from tests.common.configuring import MINIMAL, config
from tests.waiting import until


class _Answering(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        allowed = self.headers.get("Authorization") == "Bearer hush"
        self.send_response(200 if allowed and self.path == "/well?a=b" else 418)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@contextmanager
def _server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class _Switched:
    """A check that is well or ill as told, and counts."""

    def __init__(self) -> None:
        self.ill = False
        self.looks = 0

    def __call__(self) -> None:
        self.looks += 1
        if self.ill:
            raise Ill("told to be")


@contextmanager
def _watched(check: checks.Check, threshold: int = 0, patience: float = 15.0) -> Iterator[Watch]:
    watch = Watch("it", check, 0.01, threshold, patience)
    watch.start()
    yield watch
    watch.stop()


def test_a_folder_that_is_there_answers_and_one_that_is_gone_does_not(tmp_path: Path) -> None:
    checks.folder_answers(str(tmp_path))()
    with pytest.raises(FileNotFoundError):
        checks.folder_answers(f"{tmp_path}/gone")()


def test_a_folder_that_takes_files_keeps_none_of_them(tmp_path: Path) -> None:
    checks.folder_takes_files(str(tmp_path), f"{tmp_path}/tmp")()
    assert os.listdir(tmp_path / "tmp") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        checks.folder_takes_files(str(tmp_path), f"{tmp_path}/file")()


def test_a_file_that_exists_is_a_failure_and_one_that_cannot_be_looked_at_too(
    tmp_path: Path,
) -> None:
    check = checks.file_is_absent(f"{tmp_path}/flag")
    check()
    (tmp_path / "flag").touch()
    with pytest.raises(Ill, match="file exists"):
        check()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        checks.file_is_absent(f"{tmp_path}/loop")()


def test_an_http_check_sends_its_headers_and_compares_the_status() -> None:
    with _server() as port:
        address = WebAddress(f"http://127.0.0.1:{port}/well?a=b")
        checks.http_answers(address, 200, {"Authorization": [Secret("Bearer hush")]}, 5.0)()
        with pytest.raises(Ill, match="unexpected status: 418") as caught:
            checks.http_answers(address, 200, {}, 5.0)()
    assert "a=b" not in str(caught.value)
    with pytest.raises(Ill, match="error while checking: Connection refused"):
        checks.http_answers(address, 200, {}, 5.0)()


def test_an_http_check_does_not_wait_longer_than_its_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = WebAddress(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(Ill, match="timed out"):
            checks.http_answers(address, 200, {}, 0.1)()


def test_a_tcp_check_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        checks.tcp_accepts(address, 5.0)()
    with pytest.raises(Ill, match=f"{address}: connection failed: Connection refused"):
        checks.tcp_accepts(address, 5.0)()


def test_it_takes_as_many_failures_in_a_row_as_the_threshold_says() -> None:
    check = _Switched()
    check.ill = True
    watch = Watch("it", check, 3600.0, threshold=3)
    found = []
    for _ in range(4):
        watch._look()
        found.append(watch.failure)
    assert found == [None, None, "told to be", "told to be"]
    check.ill = False
    watch._look()
    check.ill = True
    watch._look()
    assert watch.failure is None


def test_it_is_looked_at_again_and_again() -> None:
    check = _Switched()
    with _watched(check) as watch:
        until(lambda: check.looks > 2)
        check.ill = True
        until(lambda: watch.failure == "told to be")
        check.ill = False
        until(lambda: watch.failure is None)


def test_a_check_that_never_answers_is_a_failure() -> None:
    gone = threading.Event()

    def hang() -> None:
        gone.wait(30)

    with _watched(hang, patience=0.05) as watch:
        until(lambda: (watch.failure or "").startswith("no answer for"))
        gone.set()
        until(lambda: watch.failure is None)


def test_a_check_that_breaks_has_not_passed() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with _watched(broken) as watch:
        until(lambda: watch.failure == "ZeroDivisionError")


def test_a_monitor_names_what_is_wrong() -> None:
    well, ill = Watch("well", lambda: None, 3600.0), Watch("ill", _Switched(), 3600.0)
    monitor = Monitor([well, ill])
    assert (monitor.failures(), monitor.failing) == ({}, False)
    ill._check = checks.file_is_absent("/")
    ill._look()
    assert monitor.failures() == {"ill": "file exists"}
    until(lambda: monitor.failing)


def test_checks_are_called_as_in_distribution(tmp_path: Path) -> None:
    section = (
        "health: {storagedriver: {enabled: true}, file: [{file: /x}],"
        " http: [{uri: 'http://a/?t=hush'}], tcp: [{addr: 'b:1'}]}\n"
    )
    monitor = monitor_of(config(MINIMAL + section).health, str(tmp_path))
    names = [watch.name for watch in monitor.watches]
    assert names == ["storagedriver_filesystem", "/x", "http://a/?***", "b:1"]
