"""What connections that are over leave behind in a worker: nothing."""

from pathlib import Path

from tests.frontend.stage import Stage, stage

_ROUND = 600
_MIB = 1 << 20


def worker_memory(front: Stage) -> int:
    """Bytes of the one worker."""
    master = front.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    status = Path(f"/proc/{children[0]}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def come_and_go(front: Stage) -> None:
    for _ in range(_ROUND):
        assert front.ask("/v2/").status == 200


def test_connections_that_are_over_take_no_memory(tmp_path: Path) -> None:
    with stage(tmp_path) as front:
        come_and_go(front)
        before = worker_memory(front)
        come_and_go(front)
        come_and_go(front)
        # A connection with its buffers is more than 7 KB: kept for a while, that would be 8 MB.
        assert worker_memory(front) - before < 2 * _MIB
