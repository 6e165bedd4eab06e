"""Datagrams between the processes of one machine, the sending side: wake-ups and events.

A mailbox is a socket named `<kind>.<id>` in a folder; posting to a kind sends to every mailbox
of it.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common import logs

log = logs.get(__name__)

# What a mailbox gets in place of datagrams that found it full.
MISSED = b"missed"

# The kernel keeps as few as 10 datagrams for a mailbox (net.unix.max_dgram_qlen). A living one
# is emptied within this; one that is not is left alone for a while, so that a stopped process
# delays nobody.
_PATIENCE_SECONDS = 0.02
_PAUSE_SECONDS = 0.0005
_LEFT_ALONE_SECONDS = 1.0


@contextmanager
def address_of(folder: Path, name: str) -> Iterator[str]:
    """The address of a socket in `folder`; through `/proc`, as a path may have only 108 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


class Post:
    """Sends; any thread may."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        # Mailboxes that missed something, and until when each is left alone.
        self._full: dict[str, float] = {}

    def send(self, kind: str, data: bytes, patience: float = _PATIENCE_SECONDS) -> None:
        """To every mailbox of `kind`, waiting up to `patience` seconds for a full one.

        Never raises. What a mailbox did not get is lost, and it is told so later; after `close`
        nobody gets anything.
        """
        with self._lock, suppress(FileNotFoundError):
            if self._closed:
                return
            for path in self._folder.glob(f"{kind}.*"):
                self._send_to(path.name, data, patience)

    def close(self) -> None:
        """Close the sending socket, for good: handlers may outlast their broker."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                self._socket.close()
            self._socket = None

    def _send_to(self, name: str, data: bytes, patience: float) -> None:
        if name in self._full and not self._caught_up(name, patience):
            return
        if not self._deliver(name, data, patience):
            self._full[name] = time.monotonic() + _LEFT_ALONE_SECONDS

    def _caught_up(self, name: str, patience: float) -> bool:
        left_alone = time.monotonic() < self._full[name]
        if self._deliver(name, MISSED, 0.0 if left_alone else patience):
            del self._full[name]
            return True
        if not left_alone:
            self._full[name] = time.monotonic() + _LEFT_ALONE_SECONDS
        return False

    def _deliver(self, name: str, data: bytes, patience: float) -> bool:
        """Whether it need not be tried again: it arrived, or never can."""
        deadline = time.monotonic() + patience
        while True:
            try:
                self._sendto(name, data)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE_SECONDS)
            except ConnectionRefusedError:
                # Its process died without removing it.
                with suppress(OSError):
                    (self._folder / name).unlink()
                return True
            except OSError as error:
                log.debug("datagram not sent", error=str(error))
                return True
            else:
                return True

    def _sendto(self, name: str, data: bytes) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        with address_of(self._folder, name) as address:
            self._socket.sendto(data, address)
