"""How often a client may be wrong: each wrong password costs us as much as thousands of requests."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# A person who has forgotten a password does not notice these; a flood is held to one a second.
_BURST = 10.0
_PER_SECOND = 1.0

# Attempts of one client that wait or run at the same time; so many that one address in front of
# many clients is not held up, so few that it does not fill the queue for all others.
_AT_ONCE = 32

_MOST_CLIENTS = 4096


@dataclass(slots=True)
class _Record:
    left: float
    """Wrong attempts it still has; negative after many at once."""
    since: float
    running: int = 0


class Attempts:
    """Counts what clients try, each by the name that `frontend.callers` gives it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the time from `clock`, in seconds."""
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def begin(self, client: str) -> bool:
        """Whether the client may try now; if so `end` has to follow."""
        record = self._record(client)
        if record.left < 1 or record.running >= _AT_ONCE:
            return False
        record.running += 1
        return True

    def end(self, client: str, *, was_right: bool) -> None:
        """What came of an attempt."""
        record = self._record(client)
        record.running = max(0, record.running - 1)
        if not was_right:
            record.left -= 1

    def _record(self, client: str) -> _Record:
        now = self._clock()
        record = self._records.get(client)
        if record is None:
            record = self._records[client] = _Record(_BURST, now)
            if len(self._records) > _MOST_CLIENTS:
                self._records.popitem(last=False)
        record.left = min(_BURST, record.left + (now - record.since) * _PER_SECOND)
        record.since = now
        self._records.move_to_end(client)
        return record
