"""Whether a server answers yet, found out without ever waiting for it."""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from entrepot.address import Address

_REQUEST = (
    b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: entrepot\r\nConnection: close\r\n\r\n"
)

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.25


@dataclass
class Probe:
    """Asks `address` something at growing intervals, until it says anything at all.

    A connection alone proves little: the kernel accepts it as soon as somebody listens, which
    gunicorn does before a worker is there to answer.
    """

    address: Address

    def __post_init__(self) -> None:
        self.due = time.monotonic()
        """When to ask again, on the monotonic clock."""
        self._pause = _FIRST_PAUSE
        self._socket: socket.socket | None = None

    def answers(self) -> bool:
        """Whether there is an answer by now; asks again when it is time to."""
        if time.monotonic() < self.due:
            return False
        self.due = time.monotonic() + self._pause
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        try:
            answered = self._ask()
        except OSError:  # nobody listens yet, or did not stay
            self.close()
            return False
        if answered:
            self.close()
        return answered

    def _ask(self) -> bool:
        if self._socket is None:
            self._socket = self.address.connect()
            self._socket.sendall(_REQUEST)
        with suppress(BlockingIOError):
            # An end without a word is an answer too: TLS servers do not talk to strangers.
            self._socket.recv(1)
            return True
        return False

    def close(self) -> None:
        """Give the connection up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
