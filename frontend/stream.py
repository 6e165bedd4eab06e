"""Response bodies: of a blob that is there, and of one that is arriving.

Both give exactly the bytes of their span, in pieces: bytes where they are few, else parts of files
(frontend.fileparts). Or they give fewer, and then the connection is closed short of Content-Length
(`Cut`), which is how a client learns that what it has is not the whole. Never the whole and wrong:
an arriving blob's response is kept short of its end until the blob is known to be right, and what
it was given from other spools is compared with the right one first.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from common import logs
from common.blobstore import OpenBlob, says_damaged
from frontend.counting import BLOB_BYTES, OPEN_STREAMS
from frontend.fileparts import FilePart
from frontend.ranges import Span
from frontend.reading import CHUNK, read_at
from frontend.tails import Tail

# How much of a response's end waits for the digest. One byte would do; this much costs nothing,
# since the last bytes are the ones a reader has to wait for anyway.
_HELD_BACK = 64 * 1024

# Up to this many, bytes go out with the headers.
_FEW = 64 * 1024
# After so many a response looks whether the spool it reads is still the fill's.
_MOST_OF_SPOOL = 1024 * 1024

# Falcon, whose annotations know of bytes alone, passes on what it is given: hence Any below.
Piece = bytes | FilePart

_log = logs.get(__name__)


class Cut(asyncio.CancelledError):
    """The body ends here, short: gunicorn closes the connection, as for a client that has left."""


async def of_blob(
    blob: OpenBlob, span: Span, on_damage: Callable[[OpenBlob], object]
) -> AsyncIterator[Any]:
    """The bytes of a committed blob; closes it. What cannot be read is told to `on_damage`."""
    position = span.start
    OPEN_STREAMS.value += 1
    try:
        while position < span.end:
            piece = await _piece(blob, position, span.end)
            yield piece
            sent = _sent(piece)
            if not sent:
                _log.error("blob is shorter than it was", size=blob.size, read=position)
                raise Cut
            position += sent
    except OSError as error:
        _log.error("blob cannot be read", read=position, reason=error.strerror)
        if says_damaged(error):
            await asyncio.to_thread(on_damage, blob)
        raise Cut from error
    finally:
        OPEN_STREAMS.value -= 1
        blob.close()


async def _piece(file: OpenBlob, start: int, end: int) -> Piece:
    if end - start > _FEW:
        return FilePart(file, start, end)
    content = await read_at(file.fd, end - start, start)
    BLOB_BYTES.value += len(content)
    return content


def _sent(piece: Piece) -> int:
    """How many bytes of a piece went out. Raises what kept the rest from being read."""
    if isinstance(piece, FilePart) and piece.error is not None:
        raise piece.error
    return len(piece)


@dataclass(slots=True)
class _Source:
    """What a response was given from one spool."""

    file: OpenBlob
    span: Span


async def of_tail(tail: Tail, span: Span) -> AsyncIterator[Any]:
    """The bytes of a fill as they arrive."""
    sources: list[_Source] = []
    position = span.start
    held_from = max(span.start, span.end - _HELD_BACK)
    tail.streams += 1
    OPEN_STREAMS.value += 1
    try:
        while position < held_from and tail.blob is None and not tail.failed:
            file = tail.file
            end = min(tail.readable, held_from, position + _MOST_OF_SPOOL)
            if end <= position:
                await tail.news()
                continue
            piece = await _piece(file, position, end)
            yield piece
            sent = _sent(piece)
            if not sent:  # a spool only grows: this one is no longer what it was
                raise Cut
            _note(sources, file, position, sent)
            position += sent
        async for piece in _rest(tail, sources, Span(position, span.end)):
            yield piece
    finally:
        tail.streams -= 1
        OPEN_STREAMS.value -= 1


async def _rest(tail: Tail, sources: list[_Source], span: Span) -> AsyncIterator[Piece]:
    """What remains once the blob is right, if what was sent agrees with it."""
    while not tail.ended:
        await tail.news()
    if tail.blob is None or not await asyncio.to_thread(_agree, sources, tail.blob):
        raise Cut
    position = span.start
    while position < span.end:
        piece = await _piece(tail.blob, position, span.end)
        yield piece
        sent = _sent(piece)
        if not sent:
            raise Cut
        position += sent


def _note(sources: list[_Source], file: OpenBlob, position: int, length: int) -> None:
    if sources and sources[-1].file is file:
        sources[-1].span = Span(sources[-1].span.start, position + length)
    else:
        sources.append(_Source(file, Span(position, position + length)))


def _agree(sources: list[_Source], blob: OpenBlob) -> bool:
    """Whether all that was sent is the blob's.

    The spool that was proven *is* the blob, the same inode, and needs no look.
    """
    return all(
        os.path.sameopenfile(part.file.fd, blob.fd) or _same(part.file.fd, blob.fd, part.span)
        for part in sources
    )


def _same(one: int, other: int, span: Span) -> bool:
    position = span.start
    while position < span.end:
        size = min(CHUNK, span.end - position)
        chunk = os.pread(one, size, position)
        if not chunk or chunk != os.pread(other, len(chunk), position):
            return False
        position += len(chunk)
    return True
