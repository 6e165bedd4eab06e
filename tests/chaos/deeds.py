"""The schedule: what is done to all of it, drawn from the seed."""

import heapq
import itertools
import random
import time
from collections.abc import Callable

from tests.chaos.disturbances import UPSTREAM, Disturbances
from tests.chaos.fleet import DOWN, ENDING, STOPPED, UP, Fleet, Member
from tests.chaos.goods import Goods
from tests.chaos.mood import MoodyUpstream
from tests.chaos.plan import Plan
from tests.chaos.queues import QueueMode

# Until a process is started again.
_PAUSE = (0.1, 3.0)
# After the upstream is back: it is asked again after as long as it was away, and what it failed is
# told to those who wait, and remembered.
_REMEMBERED = 25.0

_KILL = ("kill frontend", "kill worker", "kill fetcher", "kill janitor")
_WEIGHTS = {
    "kill frontend": 18,
    "kill worker": 10,
    "kill fetcher": 30,
    "kill janitor": 12,
    "stop frontend": 4,
    "stop fetcher": 8,
    "stop janitor": 3,
    "end frontend": 2,
    "end fetcher": 2,
    "end janitor": 1,
    "hit queue": 4,
    "upstream gone": 1,
    "move tag": 5,
}


class Deeds:
    """Does the next deed when it is time; all of it in the caller's thread.

    The seed fixes which deeds come in which order and after which pauses; which moment of whose
    work they meet is the machine's own chance.
    """

    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        queue: QueueMode,
        upstream: MoodyUpstream,
        goods: Goods,
        disturbances: Disturbances,
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._queue = queue
        self._upstream = upstream
        self._goods = goods
        self._disturbances = disturbances
        self._rng = random.Random(plan.seed)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._next = time.monotonic() + plan.gap[1]
        self._upstream_gone = False

    def step(self) -> None:
        """Do what is due."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        if time.monotonic() >= self._next:
            deed = self._rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            self._do(deed)
            self._next = time.monotonic() + self._rng.uniform(*self._plan.gap)

    def undo(self) -> None:
        """Have everything run again, the upstream and the queue as well."""
        self._upstream.trouble = 0.0
        while self._later:
            self._fleet.look()
            heapq.heappop(self._later)[2]()

    def _do(self, deed: str) -> None:
        if deed == "hit queue":
            if self._queue.hit(self._rng):
                self._after(self._rng.uniform(*self._plan.outage), self._queue.mend)
        elif deed == "upstream gone":
            self._lose_upstream()
        elif deed == "move tag":
            repository = self._rng.choice(self._goods.repositories)
            self._goods.move(repository, self._rng.choice(self._goods.images[repository]))
        else:
            self._strike(*deed.split())
            return
        self._fleet.counts[deed] += 1

    def _strike(self, what: str, whom: str) -> None:
        role = "frontend" if whom == "worker" else whom
        # Drawn before anybody is looked at, so that the seed alone decides what comes later.
        chance, seconds = self._rng.random(), self._rng.uniform(0.3, self._plan.longest_stop)
        pause = self._rng.uniform(*_PAUSE)
        able = self._fleet.of(role, UP) if what != "kill" else self._fleet.of(role, UP, STOPPED)
        if what != "stop":
            able = [each for each in able if not each.is_spared]
        if what == "end":
            able = [each for each in able if each.is_ready]
        if not able:
            self._fleet.counts["nobody left to " + what] += 1
            return
        member = able[int(chance * len(able))]
        self._fleet.counts[f"{what} {whom}"] += 1
        if whom == "worker":
            member.kill_worker()
        elif what == "kill":
            member.kill()
            self._after(pause, lambda: self._start(member))
        elif what == "stop":
            member.stop()
            self._after(seconds, member.go_on)
        else:
            member.end()
            self._revive(member)

    def _revive(self, member: Member) -> None:
        """Start it as soon as it has ended."""
        if member.state == ENDING:
            self._after(0.2, lambda: self._revive(member))
        else:
            self._start(member)

    def _start(self, member: Member) -> None:
        if member.state == DOWN:
            member.start()
        member.go_on()

    def _lose_upstream(self) -> None:
        if self._upstream_gone:
            return
        self._upstream_gone = True
        self._upstream.stop()
        gone = self._disturbances.begin(UPSTREAM, "", _REMEMBERED)

        def back() -> None:
            self._upstream.start()
            self._disturbances.finish(gone)
            self._upstream_gone = False

        self._after(self._rng.uniform(*self._plan.outage), back)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), action))
