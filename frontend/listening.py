"""Letting several newcomers in at a turn of the loop.

uvloop lets in one for each listener (libuv accepts in no loop, as most often nobody else waits). Where
a thousand clients are busy a turn takes tens of milliseconds, and whoever comes to them in a crowd
waited for seconds: so there are several listeners, to the kernel all the same socket.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

_AT_A_TURN = 8
"""With each, a newcomer costs a system call in vain more; a busy worker has time for no more than that."""


async def listen_more(
    listener: socket.socket,
    protocol: Callable[[], asyncio.BaseProtocol],
    *,
    context: ssl.SSLContext | None,
    backlog: int,
) -> list[asyncio.Server]:
    """The servers beside the one that `listener` has, on the running loop. Closing them closes nothing of it."""
    loop = asyncio.get_running_loop()
    return [
        await loop.create_server(protocol, sock=listener.dup(), ssl=context, backlog=backlog)
        for _ in range(_AT_A_TURN - 1)
    ]
