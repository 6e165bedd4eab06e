"""One part of a blob on its way here: a thread brings its chunks, another takes them."""

from collections import deque
from collections.abc import Callable


class Segment:
    """The bytes from `start` to before `end`; guarded by the lock of whoever orders it."""

    def __init__(self, start: int, end: int, capacity: int, afterwards: Callable[[], None]) -> None:
        """Hold at most about `capacity` bytes.

        `afterwards` is called once, when its connection is needed no more.
        """
        self.start = start
        self.end = end
        self.budget = 0
        """Bytes of memory taken for it."""
        self.is_alone = False
        """Nothing else is tried if it fails."""
        self.is_dropped = False
        self.error: Exception | None = None
        self.is_over = False
        self._afterwards = afterwards
        self._capacity = capacity
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._size = end - start

    @property
    def is_full(self) -> bool:
        """Whether it has to wait until something is taken."""
        return self._held >= self._capacity

    @property
    def fits(self) -> bool:
        """Whether it can come to its end without anything being taken."""
        return self._size <= self._capacity

    @property
    def has_chunks(self) -> bool:
        """Whether something can be taken."""
        return bool(self._chunks)

    def put(self, chunk: bytes) -> None:
        """Add what has come."""
        self._chunks.append(chunk)
        self._held += len(chunk)

    def take(self) -> bytes:
        """The chunk that came first of those left."""
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        self.start += len(chunk)
        return chunk

    def over(self, error: Exception | None) -> None:
        """Nothing more will come; with `error`, not all of it has."""
        self.is_over, self.error = True, error
        self._afterwards()

    def drop(self) -> None:
        """Want nothing of it any more."""
        self.is_dropped = True
        self._chunks.clear()
        self._held = 0
