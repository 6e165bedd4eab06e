"""What was found out about credentials, remembered without them."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 4096


class Memory(Generic[T]):
    """Findings by what the client showed, each until its time; the oldest go when it is full.

    What was shown is kept only as a keyed hash (BLAKE2b, RFC 7693) whose key is this process's
    and dies with it: a dump of the memory's table tells no password, nor lets one be guessed.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Take the time from `clock`, in seconds."""
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._findings: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def key(self, shown: str) -> bytes:
        """What credentials are remembered by."""
        return hashlib.blake2b(shown.encode(errors="replace"), key=self._key).digest()

    def recall(self, key: bytes) -> T | None:
        """What was found, if its time is not up."""
        found = self._findings.get(key)
        if found is None:
            return None
        if found[0] <= self._clock():
            del self._findings[key]
            return None
        return found[1]

    def note(self, key: bytes, finding: T, until: float) -> None:
        """Remember a finding until then, by the clock."""
        self._findings[key] = (until, finding)
        self._findings.move_to_end(key)
        if len(self._findings) > _MOST:
            self._findings.popitem(last=False)

    def forget(self) -> None:
        """Nothing holds any more."""
        self._findings.clear()
