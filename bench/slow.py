"""Clients that read slowly.

    python -m bench.slow PORT PATH COUNT

Each reads 16 KiB every half second. Says "reading" once every one of them has got its first bytes;
ends when its standard input does.
"""

import resource
import selectors
import socket
import sys
import time

from bench.client import request

_PART_BYTES = 16 * 1024
_PERIOD_SECONDS = 0.5
_WINDOW_BYTES = 64 * 1024


def main() -> None:
    """Read until told to end."""
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    allow_connections()
    connections = [_connect(port) for _ in range(count)]
    for connection in connections:
        connection.sendall(request(path))
    buffer = bytearray(_PART_BYTES)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        begun = False
        while True:
            next_turn = time.monotonic() + _PERIOD_SECONDS
            for connection in connections:
                if not connection.recv_into(buffer):
                    raise ConnectionError("a slow reader was cut off")
            if not begun:
                begun = True
                print("reading", flush=True)
            if selector.select(max(0.0, next_turn - time.monotonic())):
                return


def allow_connections() -> None:
    """As many open files as this user may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _connect(port: int) -> socket.socket:
    connection = socket.socket()
    # Set before connecting, or the window offered is the default one.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)
    connection.settimeout(120)
    connection.connect(("127.0.0.1", port))
    return connection


if __name__ == "__main__":
    main()
