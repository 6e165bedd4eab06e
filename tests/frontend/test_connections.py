"""Many connections: how they come in, and what they leave behind in a worker, which is nothing."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.frontend.stage import Stage, stage

_ROUND = 600
_MIB = 1 << 20


def worker_memory(front: Stage) -> int:
    """Bytes of the one worker."""
    status = Path(f"/proc/{_children(front.process.pid)[0]}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def come_and_go(front: Stage) -> None:
    for _ in range(_ROUND):
        assert front.ask("/v2/").status == 200


def test_a_fleet_that_connects_at_once_is_let_in_at_once(tmp_path: Path) -> None:
    with stage(tmp_path / "root") as front, ExitStack() as stack:
        assert front.ask("/v2/").status == 200
        # Nobody is accepted meanwhile: the kernel has them wait, or turns them away.
        stopped = [front.process.pid, *_children(front.process.pid)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(600):
                stack.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=3))
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_connections_that_are_over_take_no_memory(tmp_path: Path) -> None:
    with stage(tmp_path) as front:
        come_and_go(front)
        before = worker_memory(front)
        come_and_go(front)
        come_and_go(front)
        # A connection with its buffers is more than 7 KB: kept for a while, that would be 8 MB.
        assert worker_memory(front) - before < 2 * _MIB
