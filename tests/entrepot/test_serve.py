import os
import random
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from entrepot.address import Address
from entrepot.configuration import read
from entrepot.serve import child_specs
from tests.entrepot.sessions import members
from tests.parts.counting import Upstream
from tests.parts.faults import HoldBody
from tests.parts.process import Process, free_port
from tests.waiting import until

PROCESSES = {
    "entrepot: serve",
    "entrepot: frontend",
    "entrepot: fetcher",
    "entrepot: janitor",
}


class Serving:
    """`entrepot serve`, by default with an upstream that is not there."""

    def __init__(self, folder: Path, addr: str, remoteurl: str = "http://127.0.0.1:1") -> None:
        self.folder = folder
        self.config = folder / "config.yml"
        self.config.write_text(
            "version: 0.1\n"
            "log: {formatter: json}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'root'}}}}}\n"
            f"http: {{addr: '{addr}', draintimeout: 20s}}\n"
            f"proxy: {{remoteurl: '{remoteurl}'}}\n"
            "fetcher: {processes: 2}\n"
            "redis: {db: 1}\n"
        )
        command = [sys.executable, "-P", "-m", "entrepot", "serve", str(self.config)]
        self.process = Process(command, log=folder / "serve.log")

    def events(self, event: str) -> list[str]:
        return [line for line in self.process.output().splitlines() if f'"{event}"' in line]

    def ready(self) -> "Serving":
        until(lambda: self.events("entrepot serves"), 30, "entrepot to serve")
        return self

    def processes(self) -> dict[int, str]:
        return members(self.process.pid)

    def titled(self, title: str) -> list[int]:
        return [pid for pid, found in self.processes().items() if found == title]

    def exit_status(self, within: float = 20.0) -> int:
        until(lambda: self.process.exit_code is not None, within, "entrepot to end")
        assert self.process.exit_code is not None
        return self.process.exit_code

    def end(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def serving(tmp_path: Path, port: int) -> Iterator[Serving]:
    serving = Serving(tmp_path, f"127.0.0.1:{port}")
    yield serving
    serving.end()


def test_every_process_has_a_title_that_names_it(serving: Serving) -> None:
    serving.ready()
    until(lambda: set(serving.processes().values()) == PROCESSES, 30, "all titles")
    assert len(serving.titled("entrepot: serve")) == 1
    assert len(serving.titled("entrepot: fetcher")) == 2
    assert len(serving.titled("entrepot: janitor")) == 1
    assert len(serving.titled("entrepot: frontend")) >= 2  # gunicorn's master and its workers


def test_it_serves_when_it_says_so_at_the_address_it_says(serving: Serving, port: int) -> None:
    serving.ready()
    assert f"http://127.0.0.1:{port}" in serving.events("entrepot serves")[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5) as answer:
        assert answer.status == 200


def test_what_is_worth_saying_about_the_configuration_is_said_once(serving: Serving) -> None:
    serving.ready()
    said = [line for line in serving.process.output().splitlines() if "redis" in line]
    assert len(said) == 1


def test_sigterm_ends_it_with_status_0_and_leaves_nothing(serving: Serving, port: int) -> None:
    serving.ready()
    os.kill(serving.process.pid, signal.SIGTERM)
    assert serving.exit_status() == 0
    assert serving.processes() == {}
    assert not Address("127.0.0.1", port).is_taken()
    own = serving.folder / "root" / "entrepot"
    left = {path.name for path in own.rglob("*") if not path.is_dir()}
    assert left <= {
        "adopted",
        "scrubbed",
        "queue.sqlite",
        "queue.sqlite.lock",
    }  # what lasts, and no more


def test_a_pull_that_is_still_being_filled_is_finished_before_it_ends(
    tmp_path: Path, port: int, upstream: Upstream
) -> None:
    content = random.randbytes(3_000_000)
    digest = upstream.add_blob("some/image", content)
    held = HoldBody(after=1_000_000)
    upstream.fail(f"*/blobs/{digest}", held)
    serving = Serving(tmp_path, f"127.0.0.1:{port}", upstream.url)
    try:
        serving.ready()
        url = f"http://127.0.0.1:{port}/v2/some/image/blobs/{digest}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            begun = answer.read(500_000)
            # Both have their titles by now, however long one took to start.
            until(lambda: len(serving.titled("entrepot: fetcher")) == 2, 30, "both fetchers")
            os.kill(serving.process.pid, signal.SIGTERM)
            until(lambda: Address("127.0.0.1", port).is_taken() is False, 10, "no new clients")
            assert len(serving.titled("entrepot: fetcher")) == 2
            held.release()
            assert begun + answer.read() == content
        assert serving.exit_status() == 0
        assert serving.processes() == {}
    finally:
        serving.end()


def test_kill_9_of_the_supervisor_leaves_no_process(serving: Serving) -> None:
    serving.ready()
    os.kill(serving.process.pid, signal.SIGKILL)
    until(lambda: not serving.processes(), 10, "all processes to be gone")


@pytest.mark.parametrize("title", ["entrepot: fetcher", "entrepot: janitor"])
def test_a_role_that_is_killed_comes_back(serving: Serving, title: str) -> None:
    serving.ready()
    until(lambda: set(serving.processes().values()) == PROCESSES, 30, "all titles")
    before = set(serving.titled(title))
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(set(serving.titled(title)) - {killed}) == len(before), 20, "a new one")


def test_a_frontend_that_is_killed_comes_back_and_serves(serving: Serving, port: int) -> None:
    serving.ready()
    until(lambda: set(serving.processes().values()) == PROCESSES, 30, "all titles")
    old = set(serving.titled("entrepot: frontend"))
    # The master, whose parent is none of them; numbers of processes begin anew at some time.
    (master,) = (pid for pid in old if _parent(pid) not in old)
    os.kill(master, signal.SIGKILL)
    until(lambda: not old & set(serving.processes()), 20, "the old workers to be gone")
    until(lambda: _answers(port), 20, "a new frontend to answer")


def test_a_second_one_on_the_same_address_says_so_with_status_1(
    serving: Serving, tmp_path: Path, port: int
) -> None:
    serving.ready()
    (tmp_path / "second").mkdir()
    second = Serving(tmp_path / "second", f"127.0.0.1:{port}")
    assert second.exit_status() == 1
    assert second.events("the address is taken by another program")
    assert not (tmp_path / "second" / "root").exists()


def test_an_address_with_port_0_is_one_port_for_all(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}}}}}\n"
        "proxy: {remoteurl: 'https://registry.example'}\nfetcher: {processes: 3}\n"
    )
    loaded = read(str(config), {"REGISTRY_HTTP_ADDR": "127.0.0.1:0"})
    specs = child_specs(loaded.config, str(config), Address("127.0.0.1", 5123))
    assert {spec.environment["REGISTRY_HTTP_ADDR"] for spec in specs} == {"127.0.0.1:5123"}
    assert [spec.name for spec in specs] == [
        "frontend", "fetcher 1", "fetcher 2", "fetcher 3", "janitor",
    ]  # fmt: skip
    assert [spec.stage for spec in specs] == [0, 1, 1, 1, 2]
    assert all(spec.command[-1] == str(config) for spec in specs)


def _parent(pid: int) -> int:
    """Of a process (proc(5), /proc/<pid>/stat)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
