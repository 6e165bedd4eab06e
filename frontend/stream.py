"""Response bodies: of a blob that is there, and of one that is arriving.

Both give exactly the bytes of their span, or fewer: then gunicorn closes the connection short of
Content-Length, which is how a client learns that what it has is not the whole. Never the whole
and wrong: an arriving blob's response is kept short of its end until the blob is committed, and
what it was given from spools that did not become the blob is compared with the blob first.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from common import logs
from common.blobstore import OpenBlob, says_damaged
from frontend.ranges import Span
from frontend.reading import CHUNK, read_at
from frontend.tails import Tail

# How much of a response's end waits for the commit. One byte would do; this much costs nothing,
# since the last bytes are the ones a reader has to wait for anyway.
_HELD_BACK = 64 * 1024

_log = logs.get(__name__)


async def of_blob(
    blob: OpenBlob, span: Span, on_damage: Callable[[OpenBlob], object]
) -> AsyncIterator[bytes]:
    """The bytes of a committed blob; closes it. What cannot be read is told to `on_damage`."""
    position = span.start
    try:
        while position < span.end:
            chunk = await read_at(blob.fd, min(CHUNK, span.end - position), position)
            if not chunk:
                _log.error("blob is shorter than it was", size=blob.size, read=position)
                return
            position += len(chunk)
            yield chunk
    except OSError as error:
        _log.error("blob cannot be read", read=position, reason=error.strerror)
        if says_damaged(error):
            await asyncio.to_thread(on_damage, blob)
    finally:
        blob.close()


@dataclass(slots=True)
class _Sent:
    """What a response was given from one spool."""

    file: OpenBlob
    span: Span


async def of_tail(tail: Tail, span: Span) -> AsyncIterator[bytes]:
    """The bytes of a fill as they arrive."""
    sent: list[_Sent] = []
    position = span.start
    held_from = max(span.start, span.end - _HELD_BACK)
    tail.streams += 1
    try:
        while position < held_from and tail.blob is None and not tail.failed:
            file = tail.file
            size = min(CHUNK, min(tail.readable, held_from) - position)
            if size <= 0:
                await tail.news()
                continue
            chunk = await read_at(file.fd, size, position)
            _note(sent, file, position, len(chunk))
            position += len(chunk)
            yield chunk
        async for chunk in _rest(tail, sent, Span(position, span.end)):
            yield chunk
    finally:
        tail.streams -= 1


async def _rest(tail: Tail, sent: list[_Sent], span: Span) -> AsyncIterator[bytes]:
    """What remains once the blob is committed, if what was sent agrees with it."""
    while not tail.ended:
        await tail.news()
    if tail.blob is None or not await asyncio.to_thread(_agree, sent, tail.blob):
        return
    position = span.start
    while position < span.end:
        chunk = await read_at(tail.blob.fd, min(CHUNK, span.end - position), position)
        if not chunk:
            return
        position += len(chunk)
        yield chunk


def _note(sent: list[_Sent], file: OpenBlob, position: int, length: int) -> None:
    if sent and sent[-1].file is file:
        sent[-1].span = Span(sent[-1].span.start, position + length)
    else:
        sent.append(_Sent(file, Span(position, position + length)))


def _agree(sent: list[_Sent], blob: OpenBlob) -> bool:
    """Whether all that was sent is the blob's.

    The spool that was committed *is* the blob, the same inode, and needs no look.
    """
    return all(
        os.path.sameopenfile(part.file.fd, blob.fd) or _same(part.file.fd, blob.fd, part.span)
        for part in sent
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
