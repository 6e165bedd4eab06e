"""The floor on throughput: a transfer that merely trickles holds a slot that others could use."""

import time
from collections.abc import Callable

from common.errors import UpstreamError


class Floor:
    """Judges one transfer; time spent between reads, by whoever takes the bytes, does not count."""

    def __init__(
        self, bytes_per_second: float, window: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`window` is the seconds of waiting after which the floor is looked at, again and again."""
        self._least = bytes_per_second * window
        self._window = window
        self._clock = clock
        self._waited = 0.0
        self._received = 0

    def read(self, read: Callable[[int], bytes], count: int) -> bytes:
        """`read(count)`, timed; raises UpstreamError (retryable) when the window was too poor."""
        begun = self._clock()
        data = read(count)
        self._waited += self._clock() - begun
        self._received += len(data)
        if self._waited >= self._window:
            self._judge()
        return data

    def _judge(self) -> None:
        if self._received < self._least:
            raise UpstreamError(
                f"too slow: {self._received} bytes in {self._waited:.1f} seconds", status=504
            )
        self._waited = 0.0
        self._received = 0
