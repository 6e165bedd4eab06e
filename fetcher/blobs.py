"""Blobs of an upstream: their size, and their bytes from some offset on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from common.digest import Digest
from common.errors import UpstreamError
from common.reference import RepositoryName
from fetcher.answers import Asked
from fetcher.bodies import check_encoding, content_length, discard, read_some
from fetcher.ranges import Part, told_total
from fetcher.redirects import Answer
from fetcher.registry import Registry

_OK, _PARTIAL = 200, 206

# What those say who give no such part, or no parts at all: the whole is asked for then.
_NO_SUCH_PART = frozenset({400, 405, 412, 416, 501})

# What storage says to a signed address whose time is over.
_EXPIRED = frozenset({400, 401, 403, 404, 410})

# Storage signs URLs for one method, and may refuse HEAD although the blob is there.
_NO_HEAD_IN_STORAGE = frozenset({400, 401, 403, 405, 501})


class BlobStream:
    """A blob's bytes from `offset` on, as they arrive; close it, or use it in `with`.

    `total` is the size of the whole blob in bytes, `end` where the stream ends: both None if nobody
    told. Nothing is verified but the count: the digest is the caller's.
    """

    def __init__(
        self, asking: "Asking", answer: Answer, offset: int, end: int | None, total: int | None
    ) -> None:
        """`answer`'s body is unread."""
        self.offset = offset
        self.end = end
        self.total = total
        self._asking = asking
        self._response = answer.response
        # Where parts may be had without asking the registry again.
        self._storage = answer.url if answer.away else ""
        self.etag = answer.response.headers.get("ETag")
        registry = asking.registry
        self._floor = registry.new_floor()
        self._naming = registry.naming
        self._manners = registry.manners
        self._pace = registry.manners.pace
        self._afterwards: Callable[[], None] = lambda: None

    def chunks(self) -> Iterator[bytes]:
        """The bytes, each chunk as soon as it is received, of at most bodies.CHUNK_BYTES.

        Raises UpstreamError (retryable) when cut short, reset, stalled, too slow, or longer than
        was told.
        """
        with self._naming():
            yield from self._counted()

    def _counted(self) -> Iterator[bytes]:
        position = self.offset
        while chunk := read_some(self._response, self._pace.read_size, self._floor):
            position += len(chunk)
            self._pace.took(len(chunk))
            self._manners.blob_bytes.add(len(chunk))
            if self.end is not None and position > self.end:
                raise UpstreamError("more bytes than the blob has")
            yield chunk
        if self.end is not None and position < self.end:
            raise UpstreamError(f"the body was cut short at {position} of {self.end} bytes")

    def part(self, start: int, end: int) -> "BlobStream":
        """Another part of the same blob, by a connection that the caller has (`spare`, or this one).

        Raises UpstreamError, also when what comes is not that part of the same blob.
        """
        asked = Part(start, end)
        with self._naming():
            answer = self._in_storage(asked) or self._asking.ask(asked)
            stream = self._asking.as_part(answer, asked, self.total)
            if stream is None:
                raise UpstreamError("a part that was asked for was not given")
            if None not in {stream.etag, self.etag} and stream.etag != self.etag:
                stream.close()
                raise UpstreamError("a part has another ETag than the blob had")
            if answer.away:
                self._storage = answer.url
            return stream

    def _in_storage(self, asked: Part) -> Answer | None:
        """Storage's answer; None where there is none, or its signed address has expired."""
        address = self._storage  # looked at once: another part may find that it has expired
        if not address:
            return None
        answer = self._asking.registry.revisit(address, asked.headers)
        if answer.response.status_code not in _EXPIRED:
            return answer
        discard(answer.response, self._asking.registry.new_floor())
        self._storage = ""
        return None

    def spare(self) -> Callable[[], None] | None:
        """One more of the upstream's connections, if nobody else wants it: how to give it back."""
        return self._manners.spares.take()

    def in_trouble(self) -> None:
        """A part was not given: have the upstream asked for none beside another for a while."""
        self._manners.spares.withhold()

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
        return content_length(answer.response)
    if answer.away and status in _NO_HEAD_IN_STORAGE:
        # The registry's redirect says that the repository has it.
        discard(answer.response, registry.new_floor())
        return None
    raise registry.refuse(answer, Asked.BLOB)


def size(registry: Registry, repository: RepositoryName, digest: Digest) -> int:
    """As Upstream.blob_size."""
    told = head(registry, repository, digest)
    if told is None:
        told = _size_by_get(Asking(registry, repository, digest))
    if told is None:
        raise UpstreamError("it does not tell how large the blob is", retryable=False)
    return told


def _size_by_get(asking: "Asking") -> int | None:
    """The size, by a GET whose body nobody reads: of one byte, where there are parts to be had."""
    answer = asking.ask(Part(0, 1))
    response = answer.response
    if response.status_code not in {_OK, _PARTIAL, *_NO_SUCH_PART}:
        raise asking.registry.refuse(answer, Asked.BLOB)
    with closing(response):
        if response.status_code != _OK:
            return told_total(response)
        check_encoding(response)
        return content_length(response)


def open_at(
    registry: Registry, repository: RepositoryName, digest: Digest, part: Part, total: int | None
) -> BlobStream:
    """`part` of a blob, or all of it if that is what the upstream gives; else as Upstream.open_blob.

    The stream has one of the upstream's connections until it is closed.
    """
    with ExitStack() as visit:
        visit.enter_context(registry.visit())
        stream = Asking(registry, repository, digest).open(part, total)
        stream.on_close(visit.pop_all().close)
    return stream


@dataclass(frozen=True, slots=True)
class Asking:
    """The requests for one blob."""

    registry: Registry
    repository: RepositoryName
    digest: Digest

    def ask(self, part: Part) -> Answer:
        """The answer to a request for this part."""
        url = self.registry.url(self.repository, f"blobs/{self.digest}")
        return self.registry.ask("GET", url, self.repository, part.headers)

    def open(self, part: Part, total: int | None) -> BlobStream:
        """That part; the whole where the upstream gives no such part."""
        if not part.is_all:
            answer = self.ask(part)
            if answer.response.status_code == _OK:
                return self._whole(answer, total)
            if stream := self.as_part(answer, part, total):
                return stream
        answer = self.ask(Part())
        if answer.response.status_code == _OK:
            return self._whole(answer, total)
        raise self.registry.refuse(answer, Asked.BLOB)

    def as_part(self, answer: Answer, part: Part, total: int | None) -> BlobStream | None:
        """The stream when `answer` is the part asked for; None when asking for all is better."""
        response = answer.response
        if response.status_code not in {_OK, _PARTIAL, *_NO_SUCH_PART}:
            raise self.registry.refuse(answer, Asked.BLOB)
        told = part.answered(response, total) if response.status_code == _PARTIAL else None
        if told is not None:
            try:
                check_encoding(response)
            except UpstreamError:
                response.close()
                raise
            return BlobStream(self, answer, part.start, *told)
        # A part that is not what was asked for would come again at every attempt: begin anew.
        response.close()
        return None

    def _whole(self, answer: Answer, total: int | None) -> BlobStream:
        try:
            check_encoding(answer.response)
            told = content_length(answer.response)
            if told is not None and total not in {None, told}:
                raise UpstreamError(f"the blob has {told} bytes now, {total} were told before")
        except UpstreamError:
            answer.response.close()
            raise
        size = total if told is None else told
        return BlobStream(self, answer, 0, size, size)
