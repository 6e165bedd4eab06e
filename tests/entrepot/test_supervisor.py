import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.entrepot.sessions import members
from tests.parts.process import Process, free_port
from tests.waiting import until

HERE = Path(__file__).parent


class Machine:
    """A supervisor in a process of its own, its stand-ins, and what they wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.touch()
        self.children: list[tuple[str, list[str], int]] = []
        self.drain = 20.0
        self.port = 0

    def child(self, name: str, *options: str, stage: int = 0) -> None:
        program = [sys.executable, "-S", str(HERE / "standin.py"), str(self.journal), name]
        self.children.append((name, [*program, *options], stage))

    def start(self) -> None:
        table = self.folder / "table.json"
        table.write_text(
            json.dumps({"children": self.children, "drain": self.drain, "port": self.port})
        )
        program = [sys.executable, str(HERE / "supervised.py"), str(table)]
        self.process = Process(program, log=self.folder / "supervisor.log")

    def started(self, *names: str) -> None:
        """Start, and wait for these to run."""
        self.start()
        for name in names:
            self.saw(f"{name} started")

    def lines(self, what: str) -> list[tuple[float, int]]:
        """When, and in which process, this happened."""
        found = []
        for line in self.journal.read_text().splitlines():
            moment, name, happened, pid = line.split()
            if f"{name} {happened}" == what:
                found.append((float(moment), int(pid)))
        return found

    def saw(self, what: str, times: int = 1) -> list[tuple[float, int]]:
        """Wait until this has happened so often."""
        until(lambda: len(self.lines(what)) >= times, 20, f"{what}, {times} times")
        return self.lines(what)

    def events(self, event: str) -> list[str]:
        return [line for line in self.process.output().splitlines() if f'"{event}"' in line]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def exit_status(self, within: float = 20.0) -> int:
        until(lambda: self.process.exit_code is not None, within, "the supervisor to end")
        assert self.process.exit_code is not None
        return self.process.exit_code

    def left(self) -> dict[int, str]:
        return members(self.process.pid)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    # Again and again: one that was started a moment ago may fork while they are looked for.
    until(lambda: not _killed(machine), 20, "all processes to be gone")
    machine.process.kill()


def _killed(machine: Machine) -> list[int]:
    """Those that there were, and had to be killed."""
    left = list(machine.left())
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def test_a_killed_child_is_started_again(machine: Machine) -> None:
    machine.child("one")
    machine.child("two")
    machine.started("one", "two")
    [(_, pid)] = machine.lines("one started")
    os.kill(pid, signal.SIGKILL)
    assert len({pid for _, pid in machine.saw("one started", 2)}) == 2
    assert len(machine.lines("two started")) == 1
    assert "SIGKILL" in machine.events("child ended")[0]


def test_a_child_that_keeps_ending_is_started_at_doubling_intervals(machine: Machine) -> None:
    machine.child("one", "--exits", "1")
    machine.start()
    # Of those there are: one more may have come meanwhile.
    moments = [moment for moment, _ in machine.saw("one started", 5)[:5]]
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert pause >= least


def test_a_program_that_is_not_there_is_tried_again_and_the_others_run(machine: Machine) -> None:
    machine.children.append(("lost", [str(machine.folder / "nowhere")], 0))
    machine.child("one")
    machine.started("one")
    until(lambda: len(machine.events("child ended")) >= 2, 10, "two attempts")
    assert "No such file" in machine.events("child ended")[0]
    assert machine.process.terminate() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_with_status_0(machine: Machine, number: signal.Signals) -> None:
    machine.child("one")
    machine.child("two", stage=1)
    machine.started("one", "two")
    machine.signal(number)
    assert machine.exit_status() == 0
    assert machine.lines("one ended")
    assert machine.lines("two ended")
    assert machine.left() == {}


def test_a_stage_is_gone_before_the_next_is_asked(machine: Machine) -> None:
    machine.child("janitor", stage=2)
    machine.child("fetcher", "--lingers", "0.2", stage=1)
    machine.child("frontend", "--lingers", "0.4", stage=0)
    machine.started("frontend", "fetcher", "janitor")
    machine.signal(signal.SIGTERM)
    assert machine.exit_status() == 0
    moments = [
        machine.lines(what)[0][0]
        for what in ("frontend asked", "frontend ended", "fetcher asked", "fetcher ended")
    ]
    assert moments == sorted(moments)
    assert machine.lines("janitor asked")[0] > machine.lines("fetcher ended")[0]


def test_what_a_draining_stage_needs_is_still_started_again(machine: Machine) -> None:
    machine.child("frontend", "--stays", stage=0)
    machine.child("fetcher", stage=1)
    machine.started("frontend", "fetcher")
    machine.signal(signal.SIGTERM)
    [(_, frontend)] = machine.saw("frontend asked")
    [(_, fetcher)] = machine.lines("fetcher started")
    os.kill(fetcher, signal.SIGKILL)
    machine.saw("fetcher started", 2)
    os.kill(frontend, signal.SIGKILL)
    assert machine.exit_status() == 0
    assert len(machine.lines("frontend started")) == 1


def test_a_child_that_does_not_stop_in_time_is_killed(machine: Machine) -> None:
    machine.drain = 3.0  # time enough for "two"
    machine.child("one", "--stays", "--forks")
    machine.child("two", stage=1)
    machine.started("one", "one-worker", "two")
    machine.signal(signal.SIGTERM)
    assert machine.exit_status() == 0
    assert machine.lines("two ended")
    assert machine.left() == {}
    assert machine.events("child did not stop in time")


def test_a_second_signal_kills_at_once_with_status_1(machine: Machine) -> None:
    machine.child("one", "--stays")
    machine.child("two", stage=1)
    machine.started("one", "two")
    machine.signal(signal.SIGINT)
    machine.saw("one asked")
    machine.signal(signal.SIGINT)
    assert machine.exit_status(within=5) == 1
    assert not machine.lines("two asked")
    assert machine.left() == {}


def test_a_child_that_cannot_run_as_configured_stops_everything_with_status_2(
    machine: Machine,
) -> None:
    machine.child("good", stage=0)
    machine.child("wrong", "--exits", "2", stage=1)
    machine.start()
    assert machine.exit_status() == 2
    assert len(machine.lines("wrong started")) == 1
    assert machine.left() == {}


def test_nothing_outlives_a_killed_supervisor(machine: Machine) -> None:
    machine.child("one", "--stays")
    machine.child("two", stage=1)
    machine.started("one", "two")
    assert len(machine.left()) == 3
    machine.signal(signal.SIGKILL)
    until(lambda: not machine.left(), 3, "all processes to be gone")


def test_what_a_killed_child_leaves_behind_is_asked_to_end_too(machine: Machine) -> None:
    machine.child("one", "--forks", "--lingers", "0.3")
    machine.started("one", "one-worker")
    [(_, leader)] = machine.lines("one started")
    os.kill(leader, signal.SIGKILL)
    machine.saw("one-worker ended")
    machine.saw("one started", 2)


def test_what_a_killed_child_leaves_behind_does_not_outlive_the_supervisor(
    machine: Machine,
) -> None:
    machine.drain = 0.1
    machine.child("one", "--forks", "--stays")
    machine.started("one", "one-worker")
    [(_, leader)] = machine.lines("one started")
    os.kill(leader, signal.SIGKILL)
    machine.saw("one-worker asked")
    machine.saw("one-worker started", 2)
    machine.signal(signal.SIGTERM)
    assert machine.exit_status() == 0
    assert machine.left() == {}


def test_it_is_ready_when_the_port_answers_not_when_it_is_merely_open(machine: Machine) -> None:
    machine.port = free_port()
    machine.child("one", "--listens", str(machine.port))
    machine.started("one")
    machine.saw("one listens")
    until(lambda: _connections(machine.port) > 0, 10, "the supervisor to connect")
    assert not machine.events("ready")
    Path(f"{machine.journal}.answer").touch()
    until(lambda: machine.events("ready"), 10, "the supervisor to be ready")
    machine.signal(signal.SIGTERM)
    machine.process.kill()
    assert len(machine.events("ready")) == 1


def test_between_events_it_sleeps_in_the_kernel(machine: Machine) -> None:
    machine.child("one")
    machine.started("one")
    _until_quiet(machine.process.pid)
    end = time.monotonic() + 1.0
    before = _switches(machine.process.pid)
    until(lambda: time.monotonic() > end, 2, "a quiet second to pass")
    assert _switches(machine.process.pid) - before <= 1


def _until_quiet(pid: int) -> None:
    """Wait until the process has not gone to sleep anew for a while: it has done what it had to."""
    since, count = time.monotonic(), _switches(pid)

    def is_quiet() -> bool:
        nonlocal since, count
        now = _switches(pid)
        if now != count:
            since, count = time.monotonic(), now
        return time.monotonic() - since > 0.2

    until(is_quiet, 10, "the process to be quiet")


def _switches(pid: int) -> int:
    """How often the process has gone to sleep (proc(5), /proc/<pid>/status)."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")]
    return int(line.split()[1])


def _connections(port: int) -> int:
    """Established connections to a port of the loopback (proc(5), /proc/net/tcp)."""
    ends = [line.split()[2:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for remote, state in ends if state == "01" and remote.endswith(f":{port:04X}"))
