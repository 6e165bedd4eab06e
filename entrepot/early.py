"""The first moments of a role's process, before it has said what is to happen at a signal.

Imports take some hundred milliseconds, and a supervisor may change its mind meanwhile. Nothing has
begun yet, so there is nothing to drain: to end is to end in order. Each role puts its own ways in
the place of this one.
"""

import os
import signal
from collections.abc import Sequence

_ROLES = frozenset({"serve", "frontend", "fetcher", "janitor", "console"})


def end_in_order(arguments: Sequence[str]) -> None:
    """Have SIGTERM and SIGINT end this process with status 0, if it is to become a role."""
    if not arguments or arguments[0] not in _ROLES:
        return
    # SIGTERM last: for SIGINT Python has a handler of its own from the beginning, so that nobody who
    # looks from outside can tell when ours is there. Once the one for SIGTERM is, both are.
    for number in (signal.SIGINT, signal.SIGTERM):
        # What is ignored stays so: a job in the background is not for the terminal's Ctrl-C.
        if signal.getsignal(number) is not signal.SIG_IGN:
            # At once, not by an exception, which whatever is being imported might catch.
            signal.signal(number, lambda _number, _frame: os._exit(0))
