"""Hashing beside the writing: on a thread of its own once there is much of it.

sha256 goes through some 1.9 GB a second here and writing takes as long again. Done in turns by one
thread they add up, which a client of a fast upstream waits for.
"""

import threading
from collections.abc import Callable
from queue import Queue

from common.digest import Digest

# Bytes that are hashed where they come from: for fewer, a thread costs more than it brings.
_FEW = 4 << 20

# Bytes that are handed over at once: each time, two threads wake each other.
_AT_ONCE = 1 << 20

# How many times that may wait: it is in memory, of each download that is hashed so.
_MOST_WAITING = 4


class Hashing:
    """The hash of what one thread adds, piece by piece."""

    def __init__(self, digest: Digest) -> None:
        """Of `digest`'s algorithm, over nothing yet."""
        self._hash = digest.hasher()
        self._size = 0
        self._beside: _Beside | None = None

    def update(self, content: bytes) -> None:
        """Add bytes; waits while much has not been hashed yet."""
        self._size += len(content)
        if self._beside is None and self._size > _FEW:
            self._beside = _Beside(self._hash.update)
        if self._beside is None:
            self._hash.update(content)
        else:
            self._beside.put(content)

    def hexdigest(self) -> str:
        """Of all that was added."""
        if self._beside is not None:
            self._beside.catch_up()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Add nothing more. Idempotent."""
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.end()


class _Beside:
    """A thread that takes pieces in their order."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._waiting: Queue[list[bytes] | None] = Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name="hashing", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # there are as many threads as there may be
            self._thread = None

    def put(self, content: bytes) -> None:
        if self._thread is None:
            self._take(content)
            return
        self._gathered.append(content)
        self._gathered_size += len(content)
        if self._gathered_size >= _AT_ONCE:
            self._hand_over()

    def catch_up(self) -> None:
        if self._thread is None:
            return
        self._hand_over()
        self._waiting.join()

    def _hand_over(self) -> None:
        gathered, self._gathered, self._gathered_size = self._gathered, [], 0
        self._waiting.put(gathered)

    def end(self) -> None:
        if self._thread is not None:
            self._waiting.put(None)

    def _run(self) -> None:
        while (gathered := self._waiting.get()) is not None:
            for content in gathered:
                self._take(content)
            self._waiting.task_done()
