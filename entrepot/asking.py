"""The queue, for a command: opened, waited for a moment, closed; and questions to who typed."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from common.broker import Broker
from common.broker.opening import open_broker
from common.config import Config
from common.errors import BrokerUnavailable
from entrepot.failure import Misused

_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


@contextmanager
def queue_of(config: Config) -> Iterator[Broker]:
    """The queue; raises BrokerUnavailable when it is not there within 5 s.

    An embedded one that is not there yet is not made: it would belong to whoever looks, not to
    who is to work with it.
    """
    if config.queue.is_embedded and not os.path.exists(config.queue.path):
        raise BrokerUnavailable(f"{config.queue.path} is not there, nothing has run here yet")
    broker = open_broker(config.queue.url, name="entrepot: command")
    try:
        deadline = time.monotonic() + _CONNECT_SECONDS
        while not broker.connected:
            if time.monotonic() >= deadline:
                raise BrokerUnavailable(config.queue.shown)
            time.sleep(_PAUSE_SECONDS)
        yield broker
    finally:
        broker.close()


def agrees(question: str) -> bool:
    """Whether who typed the command says yes; raises Misused where nobody could."""
    if not sys.stdin.isatty():
        raise Misused("there is nobody to ask", "give --yes to go on without asking")
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
