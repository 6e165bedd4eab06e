"""The memory for bytes that arrive before their turn, all downloads of a process together."""

import threading


def memory(segments: int, size: int) -> int:
    """The bytes for one process: what `segments` connections fill, and as much that is full."""
    return 2 * segments * size


class Ahead:
    """So many bytes at most; thread-safe. Nobody waits for them: who gets none fetches less ahead."""

    def __init__(self, most: int) -> None:
        """`most` in bytes."""
        self._left = most
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many are free."""
        return self._left

    def take(self, count: int) -> bool:
        """Whether `count` bytes are the caller's now, until given back."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """They are free again."""
        with self._lock:
            self._left += count
