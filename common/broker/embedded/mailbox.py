"""Datagrams between the processes of one machine, the receiving side."""

import os
import select
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from common import logs
from common.broker.embedded.post import MISSED, address_of

log = logs.get(__name__)

# How often a mailbox looks whether its socket is still there.
_LOOK_SECONDS = 5.0
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_LARGEST = 1 << 18


class Mailbox:
    """Receives, on a thread of its own, from the moment it is made."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        on_data: Callable[[bytes], None],
        on_missed: Callable[[], None],
    ) -> None:
        """`on_missed` is called when datagrams may have been lost: to begin with, too."""
        self._folder = folder
        self._name = f"{kind}.{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._on_data = on_data
        self._on_missed = on_missed
        self._closing = False
        # Readable once we close: shutting the socket down would not wake its reader, with nobody
        # at the other end, and a datagram needs a path that may have been removed.
        self._ended = os.eventfd(0)
        # None: it could not be made yet, on a disk that has failed.
        self._socket: socket.socket | None = None
        with suppress(OSError):
            self._socket = self._bind()
        self._thread = threading.Thread(target=self._loop, name=f"mailbox {kind}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Remove the mailbox and end its thread."""
        self._closing = True
        os.eventfd_write(self._ended, 1)
        self._thread.join()
        if self._socket is not None:
            self._socket.close()
        os.close(self._ended)
        with suppress(OSError):  # gone already, or on a disk that has become read-only
            (self._folder / self._name).unlink()

    def _bind(self) -> socket.socket:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder first: it may be gone again by now.
        with address_of(self._folder, self._name) as address:
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                bound.setblocking(False)
                bound.bind(address)
            except OSError:
                bound.close()
                raise
        return bound

    def _loop(self) -> None:
        self._on_missed()
        while not self._closing:
            try:
                self._receive()
            except OSError as error:
                log.warning("a mailbox cannot be read", error=str(error))
                self._until_ended(_PAUSE_AFTER_FAILURE_SECONDS)
            except Exception:
                log.exception("a datagram could not be handled")

    def _receive(self) -> None:
        if self._socket is None:
            self._socket = self._bind()
            self._on_missed()
        ready = self._until_ended(_LOOK_SECONDS, self._socket.fileno())
        if not ready:
            self._look()
        if self._socket.fileno() not in ready:
            return
        data = self._socket.recv(_LARGEST)
        if data == MISSED:
            self._on_missed()
        elif data:
            self._on_data(data)

    def _until_ended(self, seconds: float, *descriptors: int) -> list[int]:
        """Those that can be read, waiting for one; at the end there is another one among them."""
        # Not select(): a frontend has more than 1024 files open.
        poll = select.poll()
        for descriptor in (self._ended, *descriptors):
            poll.register(descriptor, select.POLLIN)
        return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]

    def _look(self) -> None:
        if (self._folder / self._name).exists():
            return
        log.warning("a mailbox was removed, making it again")
        removed, self._socket = self._socket, self._bind()
        if removed is not None:
            removed.close()
        self._on_missed()
