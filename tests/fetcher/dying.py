"""A fetcher that is killed, as by kill -9, at one exact step of a fill.

    python -m tests.fetcher.dying ROOT URL REPOSITORY DIGEST STEP CALL

STEP is `module:Class.method`; the process dies as it is about to call it for the CALL-th time.
"""

import importlib
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from common.digest import Digest
from tests.fetcher.workbench import fetch, workbench


def die_at(step: str, call: int) -> None:
    """Have the step kill this process."""
    module, _, place = step.partition(":")
    name, _, method = place.partition(".")
    owner = getattr(importlib.import_module(module), name)
    original = getattr(owner, method)
    calls = itertools.count(1)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, method, dying)


def main(root: str, url: str, repository: str, digest: str, step: str, call: str) -> None:
    """Fill, and die."""
    with workbench(Path(root), default=url) as bench:
        die_at(step, int(call))
        bench.handle(fetch(repository, Digest(digest)))


if __name__ == "__main__":
    main(*sys.argv[1:])
