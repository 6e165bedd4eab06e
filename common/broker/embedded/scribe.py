"""The one thread of a process that touches the ledger."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from common import logs
from common.broker.embedded.ledger import Ledger
from common.broker.embedded.queuefile import BrokenFileError, QueueFile
from common.errors import BrokerUnavailable

log = logs.get(__name__)

T = TypeVar("T")

# What waits is written in one transaction: a burst costs one commit, not one each.
_BATCH = 256

_Task = tuple[Callable[[Ledger], Any], Future[Any]]


class Refused(BrokerUnavailable):
    """A task will not be done, and wrote nothing: the others of its transaction are committed."""


class Scribe:
    """Does what it is handed in order, and says through a future when it is committed."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened and no thread is started before the first task."""
        self._file = QueueFile(path)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.healthy = True

    def submit(self, work: Callable[[Ledger], T]) -> Future[T]:
        """Have `work` done; it may be done twice when the ledger had to be made anew.

        The future ends when the transaction is committed, or with BrokerUnavailable; its
        callbacks run on the scribe's thread.
        """
        future: Future[T] = Future()
        # Running from the start: a task that was handed in cannot be cancelled.
        future.set_running_or_notify_cancel()
        with self._starting:
            if self._closed:
                future.set_exception(BrokerUnavailable("the queue is closed"))
                return future
            self._tasks.put((work, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="scribe", daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        """Finish what was handed in, then end."""
        with self._starting:
            self._closed = True
            self._tasks.put(None)
            thread = self._thread
        if thread is not None:
            thread.join()

    def _loop(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            if batch:
                self._commit(batch)
        self._file.close()

    def _next_batch(self) -> tuple[list[_Task], bool]:
        batch: list[_Task] = []
        task = self._tasks.get()
        while task is not None:
            batch.append(task)
            if len(batch) == _BATCH or self._tasks.empty():
                return batch, True
            task = self._tasks.get()
        return batch, False

    def _commit(self, batch: list[_Task]) -> None:
        try:
            results = self._write(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the futures have to end
            self._report(error)
            for _, future in batch:
                future.set_exception(_unavailable(error))
            return
        self.healthy = True
        for (_, future), result in zip(batch, results, strict=True):
            if isinstance(result, Refused):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _write(self, batch: list[_Task]) -> list[Any]:
        try:
            return self._attempt(batch)
        except BrokenFileError:
            return self._attempt(batch)

    def _attempt(self, batch: list[_Task]) -> list[Any]:
        with self._file.transaction() as ledger:
            return [_done(work, ledger) for work, _ in batch]

    def _report(self, error: Exception) -> None:
        if self.healthy:
            log.error("the queue's file cannot be used now", error=str(error))
        self.healthy = False


def _unavailable(error: Exception) -> BrokerUnavailable:
    unavailable = BrokerUnavailable(f"the queue's file cannot be used now: {error}")
    unavailable.__cause__ = error
    return unavailable


def _done(work: Callable[[Ledger], Any], ledger: Ledger) -> Any:
    try:
        return work(ledger)
    except Refused as refused:
        return refused
