"""A signal in a role's first moments, before the role has said what it is to do."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from entrepot import early
from tests.parts.process import free_port
from tests.waiting import until


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal (proc(5), SigCgt)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(mask, 16) & 1 << (number - 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("role", ["serve", "frontend", "fetcher", "janitor", "console"])
def test_a_role_told_to_end_as_soon_as_it_listens_to_signals_ends_in_order(
    role: str, number: signal.Signals, tmp_path: Path
) -> None:
    config = tmp_path / "config.yml"
    debug = f", debug: {{addr: '127.0.0.1:{free_port()}'}}" if role == "console" else ""
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'root'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{free_port()}'{debug}}}\n"
        "proxy: {remoteurl: 'http://127.0.0.1:1'}\n"
    )
    argv = [sys.executable, "-P", "-m", "entrepot", role, str(config)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        # SIGTERM, which comes last: for SIGINT Python itself has a handler from its own beginning.
        until(lambda: catches(process.pid, signal.SIGTERM) or process.poll() is not None, 30)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (0, False), said


def test_nothing_heavy_is_imported_before_the_first_handler() -> None:
    program = (
        "import sys, entrepot.cli;"
        "print(sorted({'argparse', 'yaml', 'structlog', 'common', 'frontend'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_other_commands_are_left_to_python() -> None:
    before = signal.getsignal(signal.SIGTERM)
    early.end_in_order(["warm", "alpine"])
    early.end_in_order([])
    assert signal.getsignal(signal.SIGTERM) is before
