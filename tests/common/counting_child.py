"""A process that counts, publishes, and tells how much it has published; until it is killed.

`python -m tests.common.counting_child FOLDER [STEP]`: with STEP it kills itself there.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from common.metrics.catalogue import MISSES, REGISTRY, STREAMS
from common.metrics.machine import Member


def kill() -> None:
    """As an operator, or the kernel, would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _killing_before(module: Any, name: str, nth: int) -> None:
    original: Callable[..., Any] = getattr(module, name)
    left = nth

    def instead(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            kill()
        return original(*arguments, **named)

    setattr(module, name, instead)


def main(folder: str, step: str) -> None:
    """Count for ever; or, at a step `function:n`, take stock and die before its nth call."""
    if step:
        name, _, nth = step.partition(":")
        _killing_before(os, name, int(nth))
        Member(folder)
        kill()
    member = Member(folder)
    count = MISSES.of("default", "blob")
    STREAMS.of().set(1)
    while True:
        count.value += 1
        member.publish(REGISTRY.snapshot())
        sys.stdout.write(f"{int(count.value)}\n")
        sys.stdout.flush()
        time.sleep(0.001)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
