"""A program that stands in for a role: it does little, and keeps a journal of it.

It appends lines `<monotonic seconds> <name> <what> <pid>` to the journal: `started`, `asked` (on
SIGTERM), `ended`.
"""

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType


def main() -> int:
    options = _options()
    # Before anybody can know that it runs, and ask it to end.
    signal.signal(signal.SIGTERM, lambda number, frame: _asked(options, number, frame))
    _note(options, "started")
    if options.exits is not None:
        return int(options.exits)
    if options.listens:
        _listen(options)
    if options.forks and os.fork() == 0:
        options.name = f"{options.name}-worker"
        _note(options, "started")
    while True:
        signal.pause()


def _asked(options: argparse.Namespace, _number: int, _frame: FrameType | None) -> None:
    _note(options, "asked")
    if options.stays:
        return
    time.sleep(options.lingers)
    _note(options, "ended")
    os._exit(0)


def _listen(options: argparse.Namespace) -> None:
    """Listen at once; answer only when the file `<journal>.answer` is there."""
    listener = socket.create_server(("127.0.0.1", options.listens))
    _note(options, "listens")
    while not Path(f"{options.journal}.answer").exists():
        time.sleep(0.01)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


def _note(options: argparse.Namespace, what: str) -> None:
    line = f"{time.monotonic():.4f} {options.name} {what} {os.getpid()}\n"
    with open(options.journal, "a") as journal:
        journal.write(line)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("journal")
    parser.add_argument("name")
    parser.add_argument("--exits", type=int, help="end at once with this status")
    parser.add_argument("--lingers", type=float, default=0.0, help="seconds from asked to ended")
    parser.add_argument("--stays", action="store_true", help="do not end when asked")
    parser.add_argument("--forks", action="store_true", help="have a child process, in the group")
    parser.add_argument("--listens", type=int, help="a port")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
