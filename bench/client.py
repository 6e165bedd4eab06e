"""A client that costs little itself: blocking, one fixed buffer, bodies read and thrown away."""

import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from common import mediatypes

_TIMEOUT_SECONDS = 120.0
_BUFFER_BYTES = 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BUFFERS = threading.local()


@dataclass(frozen=True)
class Got:
    """An answer that came whole. Times are seconds since the request was sent."""

    status: int
    size: int
    first: float
    """Until the first byte of the body."""
    last: float
    body: bytes = b""

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Connection:
    """One connection to a server on this machine.

    With `discard` the kernel throws bodies away without copying them to us (MSG_TRUNC, tcp(7)), as
    if the reader were another machine and cost this one nothing.
    """

    def __init__(self, port: int, *, discard: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._flags = socket.MSG_TRUNC if discard else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def get(self, path: str, *, keep: bool = False) -> Got:
        """GET. ConnectionError when the answer is cut short or is not 200."""
        buffer = _buffer()
        begun = time.perf_counter()
        self._socket.sendall(request(path))
        filled, head = 0, -1
        while head < 0:
            filled += self._receive(buffer[filled:], 0)
            head = bytes(buffer[:filled]).find(b"\r\n\r\n")
        status, length = parse(bytes(buffer[:head]))
        kept = [bytes(buffer[head + 4 : filled])] if keep else []
        got, first = filled - head - 4, 0.0
        if got:
            first = time.perf_counter() - begun
        while got < length:
            count = self._receive(buffer, 0 if keep else self._flags)
            first = first or time.perf_counter() - begun
            got += count
            if keep:
                kept.append(bytes(buffer[:count]))
        last = time.perf_counter() - begun
        return Got(status, got, first or last, last, b"".join(kept))

    def _receive(self, buffer: memoryview, flags: int) -> int:
        count = self._socket.recv_into(buffer, 0, flags)
        if not count:
            raise ConnectionError("the connection was closed before the answer was whole")
        return count


def request(path: str) -> bytes:
    """What a client sends for `path`."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {mediatypes.OCI_MANIFEST}, */*\r\n\r\n"
    ).encode()


def parse(head: bytes) -> tuple[int, int]:
    """Status and length of an answer. ConnectionError unless it is a good one."""
    status, length = int(head.split(b" ", 2)[1]), _LENGTH.search(head)
    if status != 200 or length is None:
        raise ConnectionError(f"a bad answer: {head.decode('latin-1')}")
    return status, int(length[1])


def _buffer() -> memoryview:
    """This thread's, which all its connections share."""
    found: memoryview | None = getattr(_BUFFERS, "buffer", None)
    if found is None:
        found = _BUFFERS.buffer = memoryview(bytearray(_BUFFER_BYTES))
    return found
