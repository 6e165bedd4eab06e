"""Requests and responses on a connection that has one of them, within bounds of time and size."""

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from entrepot.console.html import Html

_SECONDS = 10.0
"""For a request to arrive; for each piece of an answer to be taken."""
_HEAD = 16 * 1024
_BODY = 64 * 1024
_FIELDS = 64
_METHODS = {"GET", "HEAD", "POST"}


class Refusal(Exception):
    """The request is answered with `status` and, for people, why and what to do."""

    def __init__(self, status: HTTPStatus, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Request:
    """One request; of fields given more than once the first counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    form: Mapping[str, str]
    peer: str
    """The address it came from."""


class Stream(Protocol):
    """A body without an end, in pieces; closed whatever becomes of the connection."""

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, each of them sent at once."""

    def close(self) -> None:
        """Nobody listens any more."""


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered; with a `stream`, that is the body."""

    body: bytes = b""
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Stream | None = None

    @classmethod
    def of(cls, page: Html, status: HTTPStatus = HTTPStatus.OK) -> "Response":
        """A page."""
        return cls(f"<!doctype html>{page}".encode(errors="replace"), status)

    @classmethod
    def see(cls, path: str) -> "Response":
        """Have the browser look at another page; a page that did something is not done again."""
        return cls(status=HTTPStatus.SEE_OTHER, headers={"Location": path})


def read_request(connection: socket.socket) -> Request | None:
    """The request, None when none comes; raises Refusal and OSError."""
    deadline = time.monotonic() + _SECONDS
    head, rest = _head(connection, deadline)
    if not head:
        return None
    line, _, fields = head.partition(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or not words[1].startswith("/") or not words[2].startswith("HTTP/1."):  # noqa: PLR2004
        raise Refusal(HTTPStatus.BAD_REQUEST, "This is no request that is understood here.")
    if words[0] not in _METHODS:
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "There is nothing here for this method.")
    headers = BytesParser().parsebytes(fields, headersonly=True)
    path, _, query = words[1].partition("?")
    body = _body(connection, headers, rest, deadline) if words[0] == "POST" else b""
    peer = connection.getpeername()
    return Request(
        words[0],
        unquote(path),
        _fields(query),
        headers,
        _fields(body.decode("latin-1")),
        peer[0].removeprefix("::ffff:") if isinstance(peer, tuple) else "",
    )


def _head(connection: socket.socket, deadline: float) -> tuple[bytes, bytes]:
    received = b""
    while True:
        head, is_whole, rest = received.partition(b"\r\n\r\n")
        if len(head) > _HEAD:
            raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request is too large.")
        if is_whole:
            return head, rest
        piece = _receive(connection, deadline)
        if not piece:
            return b"", b""
        received += piece


def _body(connection: socket.socket, headers: Message, rest: bytes, deadline: float) -> bytes:
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdecimal()):
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, "The request does not tell its length.")
    if len(length) > len(str(_BODY)) or int(length) > _BODY:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large.")
    body = rest
    while len(body) < int(length):
        piece = _receive(connection, deadline)
        if not piece:
            raise ConnectionAbortedError
        body += piece
    return body[: int(length)]


def _receive(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    return connection.recv(_HEAD)


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="replace")
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "The request has too many fields.") from error
    return dict(reversed(pairs))


def write_response(connection: socket.socket, response: Response, *, is_head: bool) -> None:
    """Send it; raises OSError when the other side does not take it."""
    length = {} if response.stream else {"Content-Length": str(len(response.body))}
    headers = {"Content-Type": response.content_type, **length, **response.headers}
    lines = [f"HTTP/1.1 {response.status.value} {response.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace")
    connection.settimeout(_SECONDS)
    connection.sendall(head if is_head else head + response.body)
    if response.stream and not is_head:
        for piece in response.stream:
            connection.sendall(piece)
