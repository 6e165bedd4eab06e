"""One part of a blob on its way here.

With memory of its own a thread brings its chunks, and another takes them. Without, whoever takes
them reads them from its connection, and a thread has done no more than ask for it beforehand: a
chunk that changes threads costs a fast download a fifth of its time.
"""

from collections import deque
from collections.abc import Callable

from fetcher.partstream import PartStream


class Segment:
    """The bytes from `start` to before `end`; guarded by the lock of whoever orders it."""

    def __init__(self, start: int, end: int, capacity: int, afterwards: Callable[[], None]) -> None:
        """Hold at most about `capacity` bytes; 0: it is read by whoever takes it.

        `afterwards` is called once, when its connection is needed no more.
        """
        self.start = start
        self.end = end
        self.is_read_in_place = not capacity
        self.is_asked_for = False
        """A thread asks for its stream, so that it is there in time."""
        self.part: PartStream | None = None
        """Its stream, once there is one that is read in place."""
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

    @property
    def is_to_be_read(self) -> bool:
        """Whether whoever takes the bytes can read them, or ask for them, himself."""
        return self.is_read_in_place and not self.is_over and not self._is_awaited

    @property
    def _is_awaited(self) -> bool:
        return self.is_asked_for and self.part is None

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
        afterwards, self._afterwards = self._afterwards, lambda: None
        afterwards()

    def drop(self) -> None:
        """Want nothing of it any more."""
        self.is_dropped = True
        if self.part is not None and not self.is_over:
            self.part.close()
            self.over(None)
        self._chunks.clear()
        self._held = 0
