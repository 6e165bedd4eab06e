"""What the kernel still holds of answers whose connections are closed.

It goes on sending after a process has ended, but not where the network ends with the process, as a
container's does: who was still to get the rest would wait for it until a time-out of its own.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

# include/net/tcp_states.h: closed by us, and the other end has not acknowledged all of it.
_FIN_WAIT1, _LAST_ACK, _CLOSING = 0x04, 0x09, 0x0B
_UNDELIVERED = {_FIN_WAIT1, _LAST_ACK, _CLOSING}
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def undelivered(ports: Iterable[int]) -> int:
    """How many closed connections to these local ports have something still to be delivered.

    Of whichever process; proc_net_tcp(5). 0 where the kernel does not tell.
    """
    wanted = set(ports)
    return sum(
        port in wanted and state in _UNDELIVERED
        for table in _TABLES
        for port, state in _read(table)
    )


def _read(table: str) -> Iterator[tuple[int, int]]:
    """Local port and state of each connection."""
    with suppress(OSError):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            yield int(local.rpartition(":")[2], 16), int(state, 16)
