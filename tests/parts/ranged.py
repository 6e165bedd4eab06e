"""Faults for parts of blobs alone: what an upstream does wrong with some ranges and not with others."""

import re
import threading
from collections.abc import Iterator

from tests.parts.faults import Answer, Fault, Throttle
from tests.parts.serving import Exchange

_FIRST = re.compile(r"bytes=(\d+)-")


def begins_at(headers: dict[str, str]) -> int:
    """Where the range asked for begins (names of headers in lower case); 0 for the whole."""
    match = _FIRST.match(headers.get("range", ""))
    return int(match[1]) if match else 0


def starts(exchanges: list[Exchange]) -> list[int]:
    """Where the parts asked for begin, in order."""
    return sorted(begins_at(exchange.headers) for exchange in exchanges)


class FromByte(Fault):
    """Do `fault` to requests for what begins at `first` or later."""

    def __init__(self, first: int, fault: Fault) -> None:
        self._first = first
        self._fault = fault
        # One thread answers a request from its beginning to its end.
        self._this = threading.local()

    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        self._this.fault = self._fault if begins_at(headers) >= self._first else Fault()
        return self._applied.ask(headers)

    def delay(self, stopping: threading.Event) -> None:
        self._applied.delay(stopping)

    def answer(self, answer: Answer) -> Answer:
        return self._applied.answer(answer)

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        return self._applied.body(pieces, stopping)

    @property
    def _applied(self) -> Fault:
        fault: Fault = self._this.fault
        return fault


class UpToByte(FromByte):
    """Do `fault` to requests for what begins before `first`."""

    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        self._this.fault = self._fault if begins_at(headers) < self._first else Fault()
        return self._applied.ask(headers)


class Busiest(Throttle):
    """Slow, and counts how many bodies are being sent at the same time."""

    def __init__(self, bytes_per_second: float) -> None:
        super().__init__(bytes_per_second)
        object.__setattr__(self, "now", [0, 0])
        object.__setattr__(self, "lock", threading.Lock())

    @property
    def most(self) -> int:
        return int(vars(self)["now"][1])

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        now, lock = vars(self)["now"], vars(self)["lock"]
        with lock:
            now[0] += 1
            now[1] = max(now)
        yield from super().body(pieces, stopping)
        with lock:
            now[0] -= 1
