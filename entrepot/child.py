"""One process that the supervisor keeps running: started, started again, stopped, all of it gone."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from common import logs
from entrepot.kernel import die_with_parent
from entrepot.signals import Signals

log = logs.get(__name__)

FIRST_PAUSE = 0.1
"""Seconds before the first restart; doubled for each that follows."""
LONGEST_PAUSE = 30.0
"""Seconds between restarts at most."""
PROVEN = 60.0
"""Seconds of life after which a death is a first one again."""

WRONG_CONFIGURATION = 2
"""The exit status of a role that cannot run as configured, however often it is started."""


@dataclass(frozen=True)
class ChildSpec:
    """What to run.

    `stage` says when it is stopped: the children of a lower stage are gone before those of a
    higher one are asked to go. `environment` is added to the supervisor's own.
    """

    name: str
    command: tuple[str, ...]
    stage: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A process group of one's own, led by the process of `spec`, and what is left of earlier ones.

    A leader that dies leaves its own children behind (gunicorn's workers, with streams running
    in them). They are asked to end; until they have, the child is `present`.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.due: float | None = time.monotonic()
        """When to start it, on the monotonic clock; None while it runs or is not wanted."""
        self._process: subprocess.Popen[bytes] | None = None
        self._leftover: set[int] = set()
        self._started = 0.0
        self._pause = FIRST_PAUSE

    @property
    def pid(self) -> int | None:
        """The leader's process id, while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def present(self) -> bool:
        """Whether anything of it still runs."""
        self._leftover = {group for group in self._leftover if _has_members(group)}
        return self._process is not None or bool(self._leftover)

    def start(self, signals: Signals) -> None:
        """Start it; a failure to do so counts as a death. Its signal mask is the one before `signals`."""
        parent = os.getpid()

        def become_child() -> None:
            die_with_parent(parent)
            signals.restore()

        self.due = None
        self._started = time.monotonic()
        try:
            # The supervisor has one thread, so that code between fork and exec is harmless. A
            # group of its own keeps the terminal's Ctrl-C from it: the order of going is ours.
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.spec.environment},
                process_group=0,
                preexec_fn=become_child,  # noqa: PLW1509 - see above
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._again(reason=str(error))
        else:
            log.info("child started", child=self.spec.name, pid=self._process.pid)

    def ended(self, status: int, *, wanted: bool) -> None:
        """Its leader has ended with exit `status` (negative: a signal) and been waited for."""
        process, self._process = self._process, None
        if process is None:
            return
        process.returncode = status  # so that Popen does not look for the process any more
        # Its process id may be another's soon, but not a group's that still has members of ours.
        if _has_members(process.pid):
            self._leftover.add(process.pid)
            _signal_group(process.pid, signal.SIGTERM)
        if wanted and status != WRONG_CONFIGURATION:
            self._again(reason=describe(status))

    def _again(self, reason: str) -> None:
        if time.monotonic() - self._started >= PROVEN:
            self._pause = FIRST_PAUSE
        self.due = time.monotonic() + self._pause
        log.warning("child ended", child=self.spec.name, reason=reason, restart_seconds=self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def stop(self) -> None:
        """Ask it to go, and do not start it again."""
        self.due = None
        if self._process is not None:
            # The leader alone: it knows how to bring its own children down.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End all of it now."""
        self.due = None
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)
        for group in self._leftover:
            if _has_members(group):
                _signal_group(group, signal.SIGKILL)


def describe(status: int) -> str:
    """An exit status in words."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _has_members(group: int) -> bool:
    """Whether a process of the group is a child of ours, as all orphans are (kernel.adopt_orphans)."""
    try:
        os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
