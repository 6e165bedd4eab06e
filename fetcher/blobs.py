"""Blobs of an upstream: their size, and their bytes from some offset on."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import requests

from common.digest import Digest
from common.errors import UpstreamError
from common.reference import RepositoryName
from fetcher.answers import Asked
from fetcher.bodies import check_encoding, discard, read_some
from fetcher.redirects import Answer
from fetcher.registry import Registry

_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416

# Storage signs URLs for one method, and may refuse HEAD although the blob is there.
_NO_HEAD_IN_STORAGE = frozenset({400, 401, 403, 405, 501})

# RFC 9110, section 14.4; a length of `*` says nothing about the whole and is not taken.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")


class BlobStream:
    """A blob's bytes from `offset` on, as they arrive; close it, or use it in `with`.

    `total` is the size of the whole blob in bytes, None if nobody told. Nothing is verified but
    the count: the digest is the caller's.
    """

    def __init__(
        self, registry: Registry, response: requests.Response, offset: int, total: int | None
    ) -> None:
        """`response`'s body is unread."""
        self.offset = offset
        self.total = total
        self._response = response
        self._floor = registry.new_floor()
        self._naming = registry.naming
        self._pace = registry.manners.pace
        self._afterwards: Callable[[], None] = lambda: None

    def chunks(self) -> Iterator[bytes]:
        """The bytes, each chunk as soon as it is received, of at most bodies.CHUNK_BYTES.

        Raises UpstreamError (retryable) when cut short, reset, stalled, too slow, or longer than
        `total`.
        """
        with self._naming():
            yield from self._counted()

    def _counted(self) -> Iterator[bytes]:
        position = self.offset
        while chunk := read_some(self._response, self._pace.read_size, self._floor):
            position += len(chunk)
            self._pace.took(len(chunk))
            if self.total is not None and position > self.total:
                raise UpstreamError("more bytes than the blob has")
            yield chunk
        if self.total is not None and position < self.total:
            raise UpstreamError(f"the body was cut short at {position} of {self.total} bytes")

    def on_close(self, afterwards: Callable[[], None]) -> None:
        """Call `afterwards` when the stream has been closed, once."""
        self._afterwards = afterwards

    def close(self) -> None:
        """Let the connection go; it is kept for others when all was read."""
        self._response.close()
        afterwards, self._afterwards = self._afterwards, lambda: None
        afterwards()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def head(registry: Registry, repository: RepositoryName, digest: Digest) -> int | None:
    """As Upstream.head_blob."""
    url = registry.url(repository, f"blobs/{digest}")
    answer = registry.ask("HEAD", url, repository, {})
    status = answer.response.status_code
    if status == _OK:
        discard(answer.response, registry.new_floor())
        return _content_length(answer.response)
    if answer.away and status in _NO_HEAD_IN_STORAGE:
        # The registry's redirect says that the repository has it.
        discard(answer.response, registry.new_floor())
        return None
    raise registry.refuse(answer, Asked.BLOB)


def open_at(
    registry: Registry, repository: RepositoryName, digest: Digest, offset: int, total: int | None
) -> BlobStream:
    """As Upstream.open_blob; the stream has one of the upstream's connections until it is closed."""
    with ExitStack() as visit:
        visit.enter_context(registry.visit())
        stream = _opened(registry, repository, digest, offset, total)
        stream.on_close(visit.pop_all().close)
    return stream


def _opened(
    registry: Registry, repository: RepositoryName, digest: Digest, offset: int, total: int | None
) -> BlobStream:
    url = registry.url(repository, f"blobs/{digest}")
    if offset:
        answer = registry.ask("GET", url, repository, {"Range": f"bytes={offset}-"})
        if answer.response.status_code == _OK:
            return _whole(registry, answer, total)
        if stream := _continued(registry, answer, offset, total):
            return stream
    answer = registry.ask("GET", url, repository, {})
    if answer.response.status_code == _OK:
        return _whole(registry, answer, total)
    raise registry.refuse(answer, Asked.BLOB)


def _continued(
    registry: Registry, answer: Answer, offset: int, total: int | None
) -> BlobStream | None:
    """The stream when `answer` is the part asked for; None when asking for all is better."""
    response = answer.response
    if response.status_code not in {_PARTIAL, _NOT_SATISFIABLE}:
        raise registry.refuse(answer, Asked.BLOB)
    told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    begins, whole = (int(told[1]), int(told[3])) if told else (-1, -1)
    if response.status_code == _PARTIAL and begins == offset and total in {None, whole}:
        check_encoding(response)
        return BlobStream(registry, response, offset, whole)
    # A part that is not what was asked for would come again at every attempt: begin anew.
    response.close()
    return None


def _whole(registry: Registry, answer: Answer, total: int | None) -> BlobStream:
    try:
        check_encoding(answer.response)
        told = _content_length(answer.response)
        if told is not None and total not in {None, told}:
            raise UpstreamError(f"the blob has {told} bytes now, {total} were told before")
    except UpstreamError:
        answer.response.close()
        raise
    return BlobStream(registry, answer.response, 0, total if told is None else told)


def _content_length(response: requests.Response) -> int | None:
    if "Transfer-Encoding" in response.headers:
        return None  # RFC 9112, section 6.3: it overrides a Content-Length
    told = response.headers.get("Content-Length", "")
    return int(told) if re.fullmatch(r"[0-9]{1,19}", told) else None
