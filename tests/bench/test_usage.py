import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import usage
from tests.parts.process import Process
from tests.waiting import until

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"
CHILD_THAT_ENDED = (
    f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\n"
)
WAIT = "print('done', flush=True)\nimport signal\nsignal.pause()\n"


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    process = Process([sys.executable, "-c", request.param + WAIT], log=tmp_path / "log")
    until(lambda: process.output() == "done\n", 60, "the program to have worked")
    yield process
    process.kill()


@pytest.mark.parametrize("program", [BUSY, CHILD_THAT_ENDED], indirect=True)
def test_processor_time_of_a_program_and_of_its_ended_children_is_counted(
    program: Process,
) -> None:
    # Counted in whole ticks of 10 ms, of which each part may lose one.
    assert usage.cpu_seconds(program.pid) >= 0.25


@pytest.mark.parametrize("program", ["held = b'x' * 50_000_000\n"], indirect=True)
def test_memory_is_what_it_holds(program: Process) -> None:
    assert usage.pss_bytes(program.pid) > 50_000_000


def test_descendants_are_found() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        try:
            assert {os.getpid(), child.pid} <= set(usage.tree(os.getpid()))
        finally:
            child.kill()


def test_a_program_that_has_gone_uses_nothing() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert usage.cpu_seconds(gone.pid) == usage.pss_bytes(gone.pid) == 0
