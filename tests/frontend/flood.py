"""Many requests at once from one address, each on a connection of its own."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.frontend.stage import Stage


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The OCI error code."""
        return str(json.loads(self.body)["errors"][0]["code"])


class Request:
    """One that was sent and may not be answered yet."""

    def __init__(self, port: int, path: str, source: str, *headers: str) -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", port), timeout=30, source_address=(source, 0)
        )
        lines = [f"GET {path} HTTP/1.1", "Host: cache", "Connection: close", *headers]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def answer(self) -> Got:
        """Wait for it."""
        answer = b""
        while part := self._socket.recv(65536):
            answer += part
        self._socket.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(field.lower().split(": ", 1) for field in fields)
        return Got(int(status.split()[1]), headers, body)

    def hang_up(self) -> None:
        """Be gone."""
        self._socket.close()


@contextmanager
def flood(
    front: Stage, paths: Sequence[str], source: str, *headers: str
) -> Iterator[list[Request]]:
    """All `paths` asked for from the loopback address `source`; gone afterwards."""
    sent: list[Request] = []
    try:
        sent.extend(Request(front.port, path, source, *headers) for path in paths)
        yield sent
    finally:
        for request in sent:
            request.hang_up()


def bogus(count: int, kind: str = "a") -> list[str]:
    """Paths of blobs that nobody has."""
    return [f"/v2/library/flood{kind}/blobs/sha256:{number:064x}" for number in range(count)]
