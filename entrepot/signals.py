"""Signals as things to wait for, one at a time, in place of handlers that run anywhere."""

import signal
from types import TracebackType
from typing import Self

# A closed terminal (HUP) asks a supervisor to stop as Ctrl-C does.
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """While entered: SIGCHLD and the signals that ask to stop are kept for `wait`.

    Enter in the main thread, before there are others: the mask is a thread's own. Children
    inherit it, and set `before` again (`restore`) before they become what they are.
    """

    def __init__(self) -> None:
        # Who starts us with nohup wants the closed terminal to be none of our business.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        stopping = [number for number in _STOPPING if not (ignored and number == signal.SIGHUP)]
        self._watched = frozenset({signal.SIGCHLD, *stopping})
        self._before: set[int | signal.Signals] = set()

    def __enter__(self) -> Self:
        self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._watched))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # One more impatient Ctrl-C must not kill us between the last wait and our exit status.
        while self.wait(0) is not None:
            pass
        self.restore()

    def restore(self) -> None:
        """Set the mask from before."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def wait(self, timeout: float | None) -> signal.Signals | None:
        """The next signal, or None when none came within `timeout` seconds (None: no limit).

        Signals of one number that come together are one: ask for every child after a SIGCHLD.
        """
        if timeout is None:
            return signal.Signals(signal.sigwait(self._watched))
        info = signal.sigtimedwait(self._watched, max(timeout, 0.0))
        return None if info is None else signal.Signals(info.si_signo)
