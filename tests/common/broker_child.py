"""A process at a queue: `python -m tests.common.broker_child URL ROLE [ARGUMENT]`.

ack      consumes and acknowledges; says `done <key>`
hang     consumes and keeps what it gets; says `took <key> <attempt>`
die      consumes and kills itself on what it gets; says `took <key> <attempt>`
listen   subscribes; says `listening` when it hears, `heard <key>`
"""

import os
import signal
import sys
import threading
from collections.abc import Callable

from common.broker import Delivery
from common.broker.opening import open_broker
from common.messages import Queue

_WORK = (Queue.INTERACTIVE, Queue.PREFETCH)


def _say(*words: object) -> None:
    # One write a line: threads say things at the same time.
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def _ack(delivery: Delivery) -> None:
    _say("done", delivery.message.key)
    delivery.ack()


def _hang(delivery: Delivery) -> None:
    _say("took", delivery.message.key, delivery.attempt)
    threading.Event().wait()


def _die(delivery: Delivery) -> None:
    _say("took", delivery.message.key, delivery.attempt)
    os.kill(os.getpid(), signal.SIGKILL)


_HANDLERS: dict[str, Callable[[Delivery], None]] = {"ack": _ack, "hang": _hang, "die": _die}


def main(url: str, role: str, slots: str = "1") -> None:
    """Play the role until killed."""
    broker = open_broker(url, name="entrepot: child")
    if role == "listen":
        broker.subscribe(lambda event: _say("heard", event.key), lambda: _say("listening"))
    else:
        broker.consume(_WORK, int(slots), _HANDLERS[role])
        _say("consuming")
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
