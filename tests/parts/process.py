"""Programs that tests start, and ports for them."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from tests.waiting import until

# Below Linux's ephemeral range (32768 and up): no outgoing connection can take the port between
# the moment it is found free and the moment the program listens on it.
_FIRST, _LAST = 20000, 32000
# In an order of this run's own. What was given comes again after all others: whoever has it may
# not listen yet.
_PORTS = cycle(random.sample(range(_FIRST, _LAST), _LAST - _FIRST))
# For each port a byte, which the run that has been given it keeps locked to its end: another run on
# this machine would find it free until its program listens.
_GIVEN = os.open(
    f"{tempfile.gettempdir()}/entrepot-ports.{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600
)


def free_port() -> int:
    """A TCP port nobody listens on now, nor was given before."""
    for port in _PORTS:
        if not _is_ours(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is always another")


def _is_ours(port: int) -> bool:
    try:
        fcntl.lockf(_GIVEN, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


def accepts(port: int) -> bool:
    """Whether something on the loopback accepts connections at `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Process:
    """A running program in a session of its own, its output appended to `log`.

    It dies with the thread that started it (PR_SET_PDEATHSIG), so a killed test run leaves
    nothing behind: start it from the main thread.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            # setpriv rather than preexec_fn: running Python between fork and exec is not safe
            # in a process with threads.
            self._popen = subprocess.Popen(
                # env: under nohup SIGHUP is ignored, and that is inherited.
                [
                    *("setpriv", "--pdeathsig", "KILL", "--"),
                    *("env", "--default-signal=HUP"),
                    *argv,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The program's process id, which is its group's and session's too."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def output(self) -> str:
        """All it has written so far."""
        return self.log.read_text(errors="replace")

    def until_listening(self, port: int, within: float = 20.0) -> None:
        """Wait until it accepts connections; AssertionError with its output when it ends first."""
        until(
            lambda: accepts(port) or self.exit_code is not None,
            within,
            f"{self.log.stem} to listen on port {port}",
        )
        assert self.exit_code is None, f"{self.log.stem} ended at once:\n{self.output()[-4000:]}"

    def terminate(self, within: float = 20.0) -> int:
        """SIGTERM to the program alone; its exit code once it has ended, or after SIGKILL."""
        if self.exit_code is None:
            self._popen.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(within)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to the whole group; the program's exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._popen.wait()
