"""Milliseconds since 1970: what rows of the ledger are dated with."""

import math
import time


def now_ms() -> int:
    """Now, rounded down: nothing is due before its time."""
    return math.floor(time.time() * 1000)


def delay_ms(delay: float) -> int:
    """`delay` seconds, rounded up."""
    return math.ceil(delay * 1000)


def due_ms(delay: float) -> int:
    """`delay` seconds from now, rounded up; without a delay it is due already."""
    return math.ceil((time.time() + delay) * 1000) if delay > 0 else now_ms()
