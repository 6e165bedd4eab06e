"""Connections handed from one process to another, before a byte of their request is read.

So one address serves pages of two processes: who listens looks at the request's path, and passes
the connection's descriptor (unix(7), SCM_RIGHTS) over a socket in a folder that is its user's alone.
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from common import logs

_log = logs.get(__name__)

# Of a request's first line, as much as is looked at.
_LINE = 2048

# Both ends are on one machine, and neither waits for anything but the other.
_SECONDS = 1.0
_BACKLOG = 64
_CREDENTIALS = struct.Struct("3i")  # <sys/socket.h>, struct ucred: pid, uid, gid


def path_of(connection: socket.socket, seconds: float) -> str | None:
    """The path a connection's request is for, without its query; the request stays unread.

    None when there is none within `seconds`.
    """
    deadline = time.monotonic() + seconds
    try:
        line = _first_line(connection, deadline)
    except OSError:
        return None
    words = line.split()
    return words[1].partition(b"?")[0].decode("latin-1") if len(words) > 1 else None


def _first_line(connection: socket.socket, deadline: float) -> bytes:
    head = b""
    try:
        while True:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            seen, head = len(head), connection.recv(_LINE, socket.MSG_PEEK)
            line, is_whole, _ = head.partition(b"\n")
            if is_whole or len(head) == _LINE:
                return line
            if len(head) == seen:  # nothing more will come
                return b""
            # Else what is there already would wake us again and again.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(head) + 1)
    finally:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def hand_over(path: str, connection: socket.socket) -> bool:
    """Pass a connection to who takes them at `path`; whether it was taken. Ours stays open."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as way:
            way.settimeout(_SECONDS)
            way.connect(path)
            socket.send_fds(way, [b"c"], [connection.fileno()])
    except OSError:
        return False
    return True


class Receiver:
    """Takes connections handed over at `path`, from processes of this user, until `close`."""

    def __init__(self, path: str, take: Callable[[socket.socket], object]) -> None:
        """`take` is given each, on one thread: it must not block. Raises OSError."""
        self._take = take
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with suppress(FileNotFoundError):  # of a predecessor
            os.unlink(path)
        self._socket.bind(path)
        os.chmod(path, 0o600)
        self._socket.listen(_BACKLOG)
        self._thread = threading.Thread(target=self._run, name="connections", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(_SECONDS)
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                way, _ = self._socket.accept()
            except OSError:  # closed
                return
            with way, suppress(OSError):
                self._receive(way)

    def _receive(self, way: socket.socket) -> None:
        said = way.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(said)
        if user not in {0, os.getuid()}:
            _log.warning("a connection of another user's is not taken", uid=user)
            return
        way.settimeout(_SECONDS)
        _, descriptors, _, _ = socket.recv_fds(way, 1, 1, socket.MSG_CMSG_CLOEXEC)
        for descriptor in descriptors:
            self._take(socket.socket(fileno=descriptor))
