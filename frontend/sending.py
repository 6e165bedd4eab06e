"""Sending parts of files into connections.

Three ways, of which all the rest knows nothing:

- sendfile(2): the kernel sends from the page cache, no byte comes to us.
- copying: into one buffer of the process, and from there into the socket. What the socket does not
  take is forgotten, and read again when it does.
- through the transport: what is encrypted is encrypted there.

The first two write to the transport's own socket, behind its back but never past it: only while
its buffer is empty. To learn when the socket takes more, the transport is given one page to write:
it tells when it has. So a reader that is slow holds a page of our memory, however large the blob.

All of it runs in callbacks of the loop, one window at a time so that everybody gets a turn.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from gunicorn.asgi.protocol import HIGH_WATER_LIMIT

from common.blobstore import says_damaged
from frontend.counting import BLOB_BYTES
from frontend.fileparts import FilePart
from frontend.reading import CHUNK, is_cached, read_cached

# What is sent in one turn.
WINDOW = 1024 * 1024
_LEAST = 64 * 1024
_PAGE = 4096

# File systems that cannot: a file that cannot be mapped, or says so.
_NO_SENDFILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class Way(Protocol):
    """How bytes get from a file into a socket."""

    def __call__(self, part: FilePart, size: int, socket: int, /) -> int | None:
        """Send up to `size` bytes; how many it were, 0 at the file's end, None: not in the page cache.

        Raises Unreadable, BlockingIOError when the socket takes none, OSError when it is done for.
        """


class Unreadable(Exception):
    """The file failed, not the connection; `reason` is what reading it raised."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


class Copying:
    """By way of a buffer, one for all connections of the process."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(WINDOW))

    def __call__(self, part: FilePart, size: int, socket: int) -> int | None:
        """See Way."""
        try:
            got = read_cached(part.file.fd, self._buffer[:size], part.position)
        except OSError as error:
            raise Unreadable(error) from error
        return os.write(socket, self._buffer[:got]) if got else got


class Sendfile:
    """By sendfile(2); by copying where the file system has none."""

    def __init__(self) -> None:
        self._copying = Copying()

    def __call__(self, part: FilePart, size: int, socket: int) -> int | None:
        """See Way."""
        if not _is_cached(part, size):
            return None
        try:
            return os.sendfile(socket, part.file.fd, part.position, size)
        except OSError as error:
            if error.errno in _NO_SENDFILE:
                return self._copying(part, size, socket)
            if says_damaged(error):
                raise Unreadable(error) from error
            raise


def _is_cached(part: FilePart, size: int) -> bool:
    try:
        return is_cached(part.file.fd, size, part.position)
    except OSError as error:
        raise Unreadable(error) from error


class Sending:
    """One part on its way into one connection.

    `way` None: through the transport. `paused`: it holds bytes already, and has said so. `done` is called once, when all was sent or the file failed
    (FilePart.error, or its length); never when the connection has ended.
    """

    def __init__(
        self,
        transport: Any,
        part: FilePart,
        way: Way | None,
        done: Callable[[], None],
        *,
        paused: bool,
    ) -> None:
        self._transport = transport
        self._part = part
        self._way = way
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._socket: int = transport.get_extra_info("socket").fileno()
        self._size = CHUNK
        self._paused = paused
        self._stopped = False
        self._called = False  # a callback of ours is to come: then nothing else goes on

    def start(self, head: bytes) -> None:
        """Send `head`, then the part."""
        if self._way is not None:
            # Then the transport tells us, by `pause`, whenever it holds anything at all.
            self._transport.set_write_buffer_limits(high=0)
        if head:
            self._transport.write(head)
        self._go_on(self._turn)

    def pause(self) -> None:
        """The transport holds bytes that the socket has not taken."""
        self._paused = True

    def resume(self) -> None:
        """It no longer does."""
        self._paused = False
        if not self._called:
            self._go_on(self._turn)

    def stop(self) -> None:
        """Send nothing more. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._part.cut()

    def _go_on(self, step: Callable[[], None]) -> None:
        self._called = False
        # Whose transport is closing has no socket any more: the number may be another's.
        if self._transport.is_closing():
            self.stop()
        if self._stopped or self._paused:
            return
        try:
            step()
        except Unreadable as unreadable:
            self._part.cut(unreadable.reason)
            self._finish()
        except OSError:  # the client has gone; connection_lost comes next
            self.stop()
            self._transport.abort()

    def _turn(self) -> None:
        size = min(self._size, self._part.end - self._part.position)
        if not size:
            self._finish()
        elif self._way is None:
            self._relay(size)
        else:
            try:
                sent = self._way(self._part, size, self._socket)
            except BlockingIOError:
                self._relay(min(size, _PAGE))
                return
            if sent is None:
                self._read_on_thread(size)
                return
            self._adapt(sent, size)
            self._advance(sent)
            if 0 < sent < size:  # the socket is full
                self._relay(min(size - sent, _PAGE))
            else:
                self._then()

    def _adapt(self, sent: int, size: int) -> None:
        # What the socket does not take was read for nothing.
        self._size = max(sent, _LEAST) if sent < size else min(2 * self._size, WINDOW)

    def _advance(self, sent: int) -> None:
        self._part.position += sent
        BLOB_BYTES.value += sent
        if not sent:
            self._part.cut()

    def _then(self) -> None:
        if self._paused:
            return
        if self._part.position < self._part.end:
            self._called = True
            self._loop.call_soon(self._go_on, self._turn)
        else:
            self._finish()

    def _relay(self, size: int) -> None:
        """Have the transport send `size` bytes; it pauses us until the socket has taken them."""
        part = self._part
        if not _is_cached(part, size):
            self._read_on_thread(size)
            return
        try:
            content = os.pread(part.file.fd, size, part.position)
        except OSError as error:
            raise Unreadable(error) from error
        self._transport.write(content)
        self._advance(len(content))
        self._then()

    def _read_on_thread(self, size: int) -> None:
        fd = self._part.file.fd
        self._called = True
        reading = self._loop.run_in_executor(
            None, os.pread, fd, min(size, CHUNK), self._part.position
        )
        reading.add_done_callback(partial(self._have_read, fd))

    def _have_read(self, fd: int, reading: asyncio.Future[bytes]) -> None:
        if not reading.cancelled():
            reading.exception()  # has been asked for, also when nobody is left to be told
        self._go_on(partial(self._send_read, fd, reading))

    def _send_read(self, fd: int, reading: asyncio.Future[bytes]) -> None:
        """Send what a thread has read. What the socket does not take of it will be in the cache."""
        if self._part.file.fd != fd:  # closed meanwhile, and the number may be another's
            raise Unreadable(OSError(errno.EBADF, os.strerror(errno.EBADF)))
        try:
            content = reading.result()
        except OSError as error:
            raise Unreadable(error) from error
        sent = 0
        if content and self._way is not None:
            with suppress(BlockingIOError):
                sent = os.write(self._socket, content)
        if content and not sent:
            content = content if self._way is None else content[:_PAGE]
            self._transport.write(content)
            sent = len(content)
        self._advance(sent)
        self._then()

    def _finish(self) -> None:
        self._stopped = True
        if self._way is not None and not self._transport.is_closing():
            self._transport.set_write_buffer_limits(high=HIGH_WATER_LIMIT)
        self._done()
