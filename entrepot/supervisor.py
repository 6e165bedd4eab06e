"""Keeps the processes of one machine running, and takes them down in order.

It reacts: to a child's end, to a signal, to the moment a restart or a deadline is due. Between
those it sleeps in the kernel. It has one thread, for two reasons: the kernel ends the children
when the *thread* that started them ends, and code may run between fork and exec.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence

from common import logs
from entrepot.child import WRONG_CONFIGURATION, Child, ChildSpec, describe
from entrepot.kernel import adopt_orphans
from entrepot.probe import Probe
from entrepot.signals import Signals

log = logs.get(__name__)

# A child has the same deadline, and uses it better than we can: it knows what is unfinished.
_MARGIN = 3.0


class Supervisor:
    """Runs the children of `specs` until told to stop.

    `drain` is how many seconds the children of one stage have to go, before they are killed.
    `on_ready` is called once, when `probe` has had its answer.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        drain: float,
        probe: Probe | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = [Child(spec) for spec in specs]
        self._drain = drain
        self._probe = probe
        self._on_ready = on_ready
        self._signals = Signals()
        self._status = 0
        self._stages = sorted({spec.stage for spec in specs})
        self._stopping: int | None = None
        """Which of the stages is being stopped; None: none yet; past the last: all are gone."""
        self._deadline: float | None = None

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or SIGHUP; the exit status.

        0 when everything went in order, 1 when a second signal cut it short, 2 when a child
        could not run as configured. Nothing that it started is left. Main thread only.
        """
        adopt_orphans()
        with self._signals:
            try:
                while not self._done:
                    self._react()
            finally:
                self._leave_nothing()
        return self._status

    @property
    def _done(self) -> bool:
        return self._stopping is not None and self._stopping >= len(self._stages)

    def _react(self) -> None:
        self._start_what_is_due()
        self._take(self._signals.wait(self._pause()))
        self._collect()
        self._ask_probe()
        self._go_on_stopping()

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.due is not None and child.due <= now:
                child.start(self._signals)

    def _pause(self) -> float | None:
        """Seconds until there is something to do without being told; None: never."""
        moments = [child.due for child in self._children]
        moments += [self._deadline, self._probe.due if self._probe else None]
        known = [moment for moment in moments if moment is not None]
        return min(known) - time.monotonic() if known else None

    def _take(self, number: signal.Signals | None) -> None:
        if number is None or number == signal.SIGCHLD:
            return
        if self._stopping is None:
            log.info("stopping", signal=number.name, drain_seconds=self._drain)
            self._stop_stage(0)
        else:
            log.warning("stopping at once", signal=number.name)
            self._status = self._status or 1
            self._stopping = len(self._stages)

    def _collect(self) -> None:
        """Wait for every process that has ended; orphans given to us are among them."""
        while (ended := _next_ended()) is not None:
            pid, status = ended
            for child in self._children:
                if child.pid == pid:
                    self._bury(child, status)

    def _bury(self, child: Child, status: int) -> None:
        # A child of a later stage is still needed: running streams are filled by fetchers.
        wanted = child not in self._leaving()
        child.ended(status, wanted=wanted)
        if not wanted:
            log.info("child stopped", child=child.spec.name, reason=describe(status))
        elif status == WRONG_CONFIGURATION:
            log.error("child cannot run as configured: stopping", child=child.spec.name)
            self._status = WRONG_CONFIGURATION
            if self._stopping is None:
                self._stop_stage(0)

    def _leaving(self) -> list[Child]:
        """The children that have been told to go."""
        if self._stopping is None:
            return []
        stages = self._stages[: self._stopping + 1]
        return [child for child in self._children if child.spec.stage in stages]

    def _ask_probe(self) -> None:
        if self._probe is not None and self._probe.answers():
            self._probe = None
            self._on_ready()

    def _stop_stage(self, number: int) -> None:
        self._probe = None
        self._stopping = number
        self._deadline = None
        if not self._done:
            self._deadline = time.monotonic() + self._drain + _MARGIN
            for child in self._leaving():
                child.stop()

    def _go_on_stopping(self) -> None:
        """Kill a stage whose time is over; turn to the next one when it is gone."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            for child in self._leaving():
                log.warning("child did not stop in time", child=child.spec.name)
                child.kill()
        while self._stopping is not None and not self._done and not self._anything_leaving():
            self._stop_stage(self._stopping + 1)

    def _anything_leaving(self) -> bool:
        return any(child.present for child in self._leaving())

    def _leave_nothing(self) -> None:
        self._stopping = len(self._stages)
        for child in self._children:
            child.kill()
        while any(child.present for child in self._children):
            self._signals.wait(None)
            self._collect()


def _next_ended() -> tuple[int, int] | None:
    """A child that has ended, now waited for, and its status; None: none has."""
    try:
        pid, raw = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(raw)) if pid else None
