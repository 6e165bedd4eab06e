"""The threads that run handlers."""

import queue
import threading
from collections.abc import Callable

from common import logs

log = logs.get(__name__)


class Slots:
    """Up to `count` threads, started as they are needed and kept.

    They are kept so that a handler can hold connections per thread. They are daemons, unlike a
    ThreadPoolExecutor's, so that a handler which outlasts its drain cannot keep the process.
    """

    def __init__(self, count: int, on_free: Callable[[], None] = lambda: None) -> None:
        """`on_free` is called, on the slot's thread, each time a piece of work has ended."""
        self._count = count
        self._on_free = on_free
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._threads = 0
        self._busy = 0

    @property
    def free(self) -> int:
        """How many slots have nothing to do; negative when work waits for one."""
        with self._changed:
            return self._count - self._busy

    def run(self, work: Callable[[], None]) -> None:
        """Have `work` run on a slot's thread, as soon as one is free."""
        with self._changed:
            self._busy += 1
            start = self._threads < min(self._busy, self._count)
            self._threads += start
        self._work.put(work)
        if start:
            threading.Thread(target=self._loop, name="slot", daemon=True).start()

    def wait_idle(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing runs; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, timeout)

    def close(self) -> None:
        """Let the threads end, each after what it runs now."""
        with self._changed:
            threads = self._threads
        for _ in range(threads):
            self._work.put(None)

    def _loop(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("a slot's work raised")
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
            self._on_free()
