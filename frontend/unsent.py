"""How much the kernel holds for a reader that is slow.

It takes bytes from us before the reader does, and by itself 4 MiB for each, however slow: 600 such
readers put all of a machine's TCP under pressure, and where its memory for that is used up the kernel
drops connections, anybody's. So what it holds of all of ours is kept to a share of that memory
(tcp_mem, tcp(7)), spread over the connections that there are.
"""

import os
from functools import cache

_TCP_MEM = "/proc/sys/net/ipv4/tcp_mem"
# What is taken where the kernel does not say, in bytes.
_UNKNOWN = 512 * 1024 * 1024
# Those who came when there were few keep what they were given then, and what the kernel counts is
# 1.4 times the bytes: with a quarter, 4,000 slow readers are without pressure.
_SHARE = 0.25

MOST = 1024 * 1024
"""Bytes for one connection beyond what is on its way."""

# A fast reader's bytes cost a fifth more CPU with it than with the most.
_LEAST = 64 * 1024


def unsent(connections: int, workers: int) -> int:
    """Bytes for each of a worker's connections, of `workers` on this machine."""
    return max(_LEAST, min(MOST, int(_calm() * _SHARE) // (workers * max(1, connections))))


@cache
def _calm() -> int:
    """Bytes that all TCP of this machine may take up without the kernel's beginning to save."""
    try:
        with open(_TCP_MEM) as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return _UNKNOWN
