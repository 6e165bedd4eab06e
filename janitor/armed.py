"""Which expiry events are on their way, as far as this process has sent them.

A queue may hold several events of one key: every fetch and every moved tag sends one, and RabbitMQ
keeps them all. Were each put off for as long as the content is used, they would only ever become
more. So one that finds another on its way is not put off but ends: each janitor keeps one.
"""

import threading
import time
from collections import OrderedDict

# Some 250 bytes each. What is forgotten is sent once more.
_MOST = 50_000

# Seconds that two events may be apart and count as for the same time.
_SLACK = 1.0

# The share of its delay after which an event is taken for the one that was sent: a broker's clock
# is not ours, and the only one on its way must not be taken for another.
_EARLY = 0.9


class Armed:
    """Remembers by key when events come; of the keys only their hashes."""

    def __init__(self) -> None:
        """None is on its way."""
        self._lock = threading.Lock()
        # From when it is expected, and for when it was sent; monotonic.
        self._due: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def claim(self, key: str, delay: float) -> bool:
        """Whether an event in `delay` seconds has to be sent; it counts as sent then.

        Not where one is on its way that comes by then: it will be put off itself.
        """
        hashed, now = hash(key), time.monotonic()
        with self._lock:
            expected, due = self._due.get(hashed, (0.0, 0.0))
            if now < expected and due <= now + delay + _SLACK:
                return False
            self._due[hashed] = (now + delay * _EARLY, now + delay)
            self._due.move_to_end(hashed)
            if len(self._due) > _MOST:
                self._due.popitem(last=False)
            return True

    def forget(self, key: str) -> None:
        """It was not sent after all."""
        with self._lock:
            self._due.pop(hash(key), None)
