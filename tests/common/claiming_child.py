"""A process that claims when told to: commands on its standard input, answers on its output."""

import os
import sys
import time

from common.claims import Claim, Claims
from common.errors import LeaseLost
from common.paths import Layout

# How often a contender works, and how long it tries to, in seconds.
_TIMES = 100
_CONTEND_SECONDS = 60.0


class Child:
    """One process's claim on one folder."""

    def __init__(self, root: str, lease: float) -> None:
        """Claim below `root`."""
        layout = Layout(root)
        self._root = root
        self._claims = Claims(layout, lease)
        self._folder = layout.claim("work")
        self._claim: Claim | None = None

    def acquire(self) -> str:
        """Try once."""
        self._claim = self._claims.acquire(self._folder)
        return "none" if self._claim is None else str(self._claim.generation)

    def beat(self) -> str:
        """A heartbeat."""
        assert self._claim is not None
        try:
            self._claim.beat()
        except LeaseLost:
            return "lost"
        return "ours"

    def release(self) -> str:
        """Give up what there is."""
        if self._claim is not None:
            self._claim.release()
        return "released"

    def contend(self) -> str:
        """Claim and release over and over; how often it worked, `broken` if not alone once."""
        worked = 0
        deadline = time.monotonic() + _CONTEND_SECONDS
        while worked < _TIMES and time.monotonic() < deadline:
            claim = self._claims.acquire(self._folder)
            if claim is not None:
                if not self._work_alone():
                    return "broken"
                worked += 1
                claim.release()
        return str(worked)

    def _work_alone(self) -> bool:
        mark = f"{self._root}/working"
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        os.unlink(mark)
        return True


def main() -> None:
    """Answer each line with one."""
    child = Child(sys.argv[1], float(sys.argv[2]))
    for line in sys.stdin:
        sys.stdout.write(getattr(child, line.strip())() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
