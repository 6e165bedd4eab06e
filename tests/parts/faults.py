"""What an upstream can do wrong, one class each, to be given to `Upstream.fail`."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace


def _nothing() -> None:
    """Where there is nothing to close."""


@dataclass(frozen=True)
class Answer:
    """A response before it is sent; `body` yields `length` bytes in pieces.

    `closing` is called when it has been sent, wholly or not.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))
    length: int = 0
    closing: Callable[[], None] = _nothing


class HangUp(Exception):
    """Close the connection here; with `reset`, by RST instead of FIN."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("hang up")
        self.reset = reset


class Fault:
    """One way to fail; as it stands, none. `stopping` is set when the server ends."""

    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        """What the server pretends to have been sent (names in lower case)."""
        return headers

    def delay(self, stopping: threading.Event) -> None:
        """Called before anything is sent."""

    def answer(self, answer: Answer) -> Answer:
        """What it answers instead."""
        return answer

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        """What it sends instead; raising HangUp ends the connection."""
        del stopping
        return pieces


@dataclass(frozen=True)
class Status(Fault):
    """Another status, with `retry_after` in the words of that header, and `body`."""

    status: int
    retry_after: str | None = None
    content: bytes = b'{"errors":[{"code":"UNKNOWN","message":"as the test wants it"}]}'

    def answer(self, answer: Answer) -> Answer:
        headers = {"Content-Type": "application/json"}
        if self.retry_after is not None:
            headers["Retry-After"] = self.retry_after
        return Answer(self.status, headers, iter((self.content,)), len(self.content))


@dataclass(frozen=True)
class Cut(Fault):
    """Hang up after so many bytes of the body, short of its Content-Length."""

    after: int
    reset: bool = False

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        yield from _split(pieces, self.after)[0]
        raise HangUp(reset=self.reset)


@dataclass(frozen=True)
class Stall(Fault):
    """Send so many bytes of the body, then nothing for `seconds`, then the rest."""

    after: int
    seconds: float = 3600.0

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        head, rest = _split(pieces, self.after)
        yield from head
        stopping.wait(self.seconds)
        yield from rest


@dataclass(frozen=True)
class Corrupt(Fault):
    """Change the byte at this offset of what is sent; the length stays right."""

    at: int

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        offset = 0
        for piece in pieces:
            here = self.at - offset
            offset += len(piece)
            if 0 <= here < len(piece):
                changed = bytearray(piece)
                changed[here] ^= 0xFF
                yield bytes(changed)
            else:
                yield piece


@dataclass(frozen=True)
class Throttle(Fault):
    """At most so many bytes a second, for each connection."""

    bytes_per_second: float

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        # A fiftieth of a second's worth at a time: the receiver sees a stream, not bursts.
        size = max(1, int(self.bytes_per_second / 50))
        due = time.monotonic()
        for piece in pieces:
            for start in range(0, len(piece), size):
                part = piece[start : start + size]
                yield part
                # By the clock, so that waking late does not make it slower than it says.
                now = time.monotonic()
                due = max(due, now - 0.1) + len(part) / self.bytes_per_second
                stopping.wait(max(0.0, due - now))


class Line(Fault):
    """At most so many bytes a second for all connections together: more of them bring no more."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._due = 0.0

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        for piece in pieces:
            for start in range(0, len(piece), 16 * 1024):
                part = piece[start : start + 16 * 1024]
                with self._lock:
                    now = time.monotonic()
                    self._due = max(self._due, now - 0.05) + len(part) / self._rate
                    pause = self._due - now
                stopping.wait(max(0.0, pause))
                yield part


@dataclass(frozen=True)
class Late(Fault):
    """Keep silent for so long before the status line: with Throttle, an upstream far away."""

    seconds: float

    def delay(self, stopping: threading.Event) -> None:
        stopping.wait(self.seconds)


class IgnoreRange(Fault):
    """Answer 200 with all of it, whatever range was asked for."""

    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name != "range"}


@dataclass(frozen=True)
class WrongContentRange(Fault):
    """Say that another range is being sent than is."""

    value: str = "bytes 0-0/1"

    def answer(self, answer: Answer) -> Answer:
        return replace(answer, headers={**answer.headers, "Content-Range": self.value})


@dataclass(frozen=True)
class Header(Fault):
    """Set a header of the answer, or remove it with None."""

    name: str
    value: str | None

    def answer(self, answer: Answer) -> Answer:
        headers = {key: value for key, value in answer.headers.items() if key != self.name}
        if self.value is not None:
            headers[self.name] = self.value
        return replace(answer, headers=headers)


class HoldBody(Fault):
    """Send the headers and `after` bytes, then wait until the test says `release()`."""

    def __init__(self, after: int = 0) -> None:
        self._after = after
        self._released = threading.Event()
        self.reached = threading.Event()

    def release(self) -> None:
        """Let every held body go on."""
        self._released.set()

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        head, rest = _split(pieces, self._after)
        yield from head
        self.reached.set()
        while not self._released.wait(0.02) and not stopping.is_set():
            pass
        yield from rest


def _split(pieces: Iterator[bytes], count: int) -> tuple[list[bytes], Iterator[bytes]]:
    """The first `count` bytes, and what follows them."""
    head: list[bytes] = []
    for piece in pieces:
        head.append(piece[:count])
        rest = piece[count:]
        count -= len(piece)
        if count <= 0:
            return head, itertools.chain((rest,), pieces)
    return head, iter(())
