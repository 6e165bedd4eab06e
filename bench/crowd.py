"""Many clients at once, on one thread, that ask for one thing each."""

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.client import parse, request

_BUFFER = memoryview(bytearray(256 * 1024))
_DEADLINE_SECONDS = 120.0


@dataclass
class Reader:
    """One client. Times are seconds since all of them asked; 0: not yet."""

    first: float = 0
    last: float = 0
    length: int = -1
    got: int = 0
    head: bytes = b""

    def take(self, part: memoryview, at: float) -> bool:
        """Whether it has everything now. ConnectionError when it never will."""
        if not part:
            raise ConnectionError(f"closed after {self.got} of {self.length} bytes")
        if self.length < 0:
            self.head += part
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            _, self.length = parse(self.head[:end])
            self.got = len(self.head) - end - 4
        else:
            self.got += len(part)
        if self.got and not self.first:
            self.first = at
        if self.got >= self.length:
            self.last = at
        return self.got >= self.length


def pull(port: int, paths: Sequence[str]) -> list[Reader]:
    """One client for each path, all connected before the first asks. TimeoutError after 2 min."""
    readers = [Reader() for _ in paths]
    with selectors.DefaultSelector() as selector:
        connections = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in paths]
        for connection, reader in zip(connections, readers, strict=True):
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, (connection, reader))
        begun = time.perf_counter()
        try:
            for connection, path in zip(connections, paths, strict=True):
                connection.sendall(request(path))
            _read_all(selector, begun, len(readers))
        finally:
            for connection in connections:
                connection.close()
    return readers


def _read_all(selector: selectors.BaseSelector, begun: float, left: int) -> None:
    while left:
        if time.perf_counter() - begun > _DEADLINE_SECONDS:
            raise TimeoutError(f"{left} clients still wait")
        for key, _ in selector.select(1):
            connection, reader = key.data
            count = connection.recv_into(_BUFFER)
            if reader.take(_BUFFER[:count], time.perf_counter() - begun):
                selector.unregister(connection)
                left -= 1
