"""Waiting for a condition, with a deadline, in place of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.02


def until(
    condition: Callable[[], T], within: float = 10.0, what: str = "the condition to hold"
) -> T:
    """The condition's first truthy value; asked every 5 to 20 ms.

    `within` is in seconds. At the deadline AssertionError names `what` was waited for and what
    the condition said last. What the condition raises goes through: a condition that is expected
    to fail for a while says so itself, by returning something falsy.
    """
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"waited {within:g} s in vain for {what}; last seen: {value!r}")
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)
