"""What a process does that took another one for dead, while that one is at work."""

import threading
from collections.abc import Callable
from pathlib import Path

from common.claims import generations
from tests.parts.faults import Fault


def take_over(folder: str) -> Path:
    """The successor's claim on the work of `folder`."""
    taken = Path(folder, f"claim.{max(generations(folder)) + 1}")
    taken.touch()
    return taken


class Meanwhile(Fault):
    """Something happens between a question and its answer."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens

    def delay(self, stopping: threading.Event) -> None:
        self._happens()
