"""The upstream: a registry of files, as far away and as slow for each connection as it is told.

    python -m bench.upstream FOLDER PORT

A thread for each connection; bodies go out by sendfile(2), so that it is not what is measured.
It is told and asked on the same port:

    /tell?rate=R&latency=L    R bytes a second for each connection (0: as fast as it goes), L seconds
                              before each answer and once more for a new connection; counts anew
    /count                    what was asked for since

Distance is made by waiting, so TCP's slow start, which a long way would add, is not in it.
"""

import hashlib
import json
import os
import re
import socket
import sys
import threading
import time
import urllib.parse
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from common import mediatypes

_PIECE_BYTES = 8 * 1024 * 1024
_PIECE_SECONDS = 0.004
_LEAST_PIECE_BYTES = 16 * 1024
_MOST_HEADER_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Doings:
    """How it is to behave, and what was asked of it."""

    rate: float = 0
    latency: float = 0
    requests: int = 0
    sent_bytes: int = 0
    busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, rate: float, latency: float) -> None:
        """Behave so from now on, and count anew."""
        with self.lock:
            self.rate, self.latency = rate, latency
            self.requests = self.sent_bytes = 0

    def add(self, *, requests: int = 0, sent: int = 0, busy: int = 0) -> None:
        """Count."""
        with self.lock:
            self.requests += requests
            self.sent_bytes += sent
            self.busy += busy


@dataclass(frozen=True)
class Request:
    """As much of one as matters here."""

    method: str
    path: str
    query: dict[str, list[str]]
    range: str


def main() -> None:
    """Serve until killed."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    doings = Doings()
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = _Client(connection, folder, doings)
            threading.Thread(target=client.serve, daemon=True).start()


class _Client:
    def __init__(self, connection: socket.socket, folder: Path, doings: Doings) -> None:
        self._connection = connection
        self._folder = folder
        self._doings = doings
        self._met = False

    def serve(self) -> None:
        """Answer until it goes."""
        with suppress(OSError), self._connection as connection:
            while (request := _read(connection)) is not None:
                if request.path in {"/tell", "/count"}:
                    self._be_told(request)
                    continue
                self._doings.add(requests=1, busy=1)
                try:
                    self._answer(request)
                finally:
                    self._doings.add(busy=-1)

    def _be_told(self, request: Request) -> None:
        doings = self._doings
        if request.path == "/tell":
            doings.tell(float(request.query["rate"][0]), float(request.query["latency"][0]))
        asked = {"requests": doings.requests, "sent_bytes": doings.sent_bytes, "busy": doings.busy}
        self._say(HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps(asked).encode())

    def _answer(self, request: Request) -> None:
        self._wait()
        if request.path in {"/v2", "/v2/"}:
            self._say(HTTPStatus.OK, {"Content-Type": "application/json"}, b"{}")
            return
        try:
            file = os.open(self._folder / request.path.lstrip("/"), os.O_RDONLY)
        except OSError:
            self._say(HTTPStatus.NOT_FOUND, {}, b'{"errors":[{"code":"UNKNOWN","message":""}]}')
            return
        try:
            self._serve_file(request, file)
        finally:
            os.close(file)

    def _wait(self) -> None:
        latency = self._doings.latency
        if latency:
            time.sleep(latency if self._met else 2 * latency)
        self._met = True

    def _serve_file(self, request: Request, file: int) -> None:
        size = os.fstat(file).st_size
        headers = _described(request.path, file, size)
        start, end, status = 0, size, HTTPStatus.OK
        if match := _RANGE.fullmatch(request.range):
            start, end = int(match[1]), min(int(match[2] or size) + 1, size)
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._say(status, headers, length=end - start)
        if request.method == "GET":
            self._send(file, start, end)

    def _say(
        self, status: HTTPStatus, headers: dict[str, str], body: bytes = b"", length: int = 0
    ) -> None:
        said = {**headers, "Content-Length": str(length or len(body))}
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            *(f"{k}: {v}" for k, v in said.items()),
        ]
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def _send(self, file: int, start: int, end: int) -> None:
        """At the rate it was told when it began."""
        rate = self._doings.rate
        piece = max(int(rate * _PIECE_SECONDS), _LEAST_PIECE_BYTES) if rate else _PIECE_BYTES
        begun, position = time.monotonic(), start
        while position < end:
            went = os.sendfile(
                self._connection.fileno(), file, position, min(piece, end - position)
            )
            if not went:
                raise ConnectionError("the file has become shorter")
            position += went
            self._doings.add(sent=went)
            if rate:
                time.sleep(max(0.0, begun + (position - start) / rate - time.monotonic()))


def _read(connection: socket.socket) -> Request | None:
    """The next request; None when there is none to come. Requests with bodies are not known here."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(_MOST_HEADER_BYTES)
        if not part or len(head) > _MOST_HEADER_BYTES:
            return None
        head += part
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    asked = next((line[6:].strip() for line in lines if line.lower().startswith("range:")), "")
    return Request(method, path, urllib.parse.parse_qs(query), asked)


def _described(path: str, file: int, size: int) -> dict[str, str]:
    """Type, digest and ETag, as a registry gives them."""
    reference = path.rpartition("/")[2]
    blob = "/blobs/" in path
    if ":" not in reference:
        reference = f"sha256:{hashlib.sha256(os.pread(file, size, 0)).hexdigest()}"
    return {
        "Content-Type": "application/octet-stream" if blob else mediatypes.OCI_MANIFEST,
        "Docker-Content-Digest": reference,
        "ETag": f'"{reference}"',
        "Accept-Ranges": "bytes" if blob else "none",
    }


if __name__ == "__main__":
    main()
