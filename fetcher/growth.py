"""How many connections a download is worth: more as long as each doubling brings more bytes.

An upstream that gives a connection all there is keeps to one; one that limits each connection, or
is far away, is asked by as many as pay, up to what is allowed.
"""

import time
from collections.abc import Callable

# A doubling that does not bring this much more is taken back.
GAIN = 1.25

# Seconds that the rest must take at the present rate for more connections to be worth their while.
WORTH = 0.5

# Seconds over which a rate is measured; before, as many bytes as say the same.
INTERVAL = 0.15

# Seconds until a doubling that was taken back is tried again.
AGAIN = 2.0

# The longest segment where there is one connection, and the shortest where there are more.
_LONGEST = 64 << 20
_SHORTEST = 256 * 1024

# Seconds that a segment is to take where there are more: the front of the blob moves on as fast as
# one connection until its segment has come, and what waits in memory is lost by a crash.
_BRIEF = 0.25


class Growth:
    """One download's; not thread-safe."""

    def __init__(
        self, most: Callable[[], int], telling: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """At most as many as `most` says, which never falls; `telling` bytes are enough to know the
        rate of the first by.
        """
        self._most = most
        self._telling = telling
        self._clock = clock
        self._level = 1
        self._awaited = 1
        self._begun = 0.0
        self._bytes = 0
        self._before = 0.0  # the rate one level below, while this one has to prove itself
        self._not_until = 0.0
        self.rate = 0.0
        """Bytes a second, as last measured; 0: not yet."""
        self.each = 0.0
        """The same for one connection."""

    @property
    def is_single(self) -> bool:
        """Whether there is to be one connection and never another, not even in between."""
        return self._most() == 1

    def joined(self) -> None:
        """A connection has brought its first bytes: a level is judged when all of it are there."""
        if self._awaited:
            self._awaited -= 1
            if not self._awaited:
                self._measure()

    def arrived(self, count: int) -> None:
        """`count` bytes have come, by whichever connection."""
        self._bytes += count

    def wanted(self, rest: int) -> int:
        """How many connections there should be, with `rest` bytes still to come."""
        if not self._awaited and self._is_told():
            self.rate = self._bytes / max(self._clock() - self._begun, 1e-6)
            self.each = self.rate / self._level
            self._judge(rest)
        return self._level

    def stretch(self, size: int) -> int:
        """The bytes to ask for where there is one connection, at least `size`: they end soon."""
        return max(size, min(int(self.rate * WORTH), _LONGEST))

    def brief(self, size: int) -> int:
        """The bytes to ask each connection for where there are more, at most `size`."""
        return min(size, max(_SHORTEST, int(self.each * _BRIEF)))

    def _is_told(self) -> bool:
        if self._clock() - self._begun >= INTERVAL:
            return self._bytes > 0
        return not self.rate and self._bytes >= self._telling

    def _judge(self, rest: int) -> None:
        now, most = self._clock(), self._most()
        if self._before and self.rate < GAIN * self._before:
            self._level = max(1, self._level // 2)
            self._not_until = now + AGAIN
        elif self._level < most and now >= self._not_until and rest > WORTH * self.rate:
            self._awaited = min(self._level, most - self._level)
            self._level += self._awaited
            self._before = self.rate
            return
        self._before = 0.0
        self._measure()

    def _measure(self) -> None:
        self._begun = self._clock()
        self._bytes = 0
