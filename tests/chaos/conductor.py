"""The run, in order: set up, break everything for a while, let it settle, look at all of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.broker import Broker
from common.broker.opening import open_broker
from common.errors import BrokerUnavailable
from common.messages import Queue
from tests.chaos.audit import BOUND, Storage
from tests.chaos.deeds import Deeds
from tests.chaos.disturbances import Disturbances
from tests.chaos.findings import Findings
from tests.chaos.fleet import DOWN, Fleet
from tests.chaos.goods import Goods
from tests.chaos.ledger import Ledger
from tests.chaos.mood import MoodyUpstream
from tests.chaos.plan import Plan
from tests.chaos.queues import QueueMode
from tests.chaos.shoppers import Receipts, Shopper
from tests.chaos.vitals import Vitals
from tests.waiting import until

_TICK = 0.05
_SAMPLE = 2.0
# Far above what any of it takes on a slow machine: what exceeds it is no slowness.
_PATIENCE = 60.0


class Conductor:
    """One run; `run` must be called from the main thread, which its processes are tied to."""

    def __init__(
        self, plan: Plan, folder: Path, queue: QueueMode, disturbances: Disturbances
    ) -> None:
        self._plan = plan
        self._queue = queue
        self._disturbances = disturbances
        self._goods = Goods(plan, folder / "goods")
        self._upstream = MoodyUpstream(self._goods.content, disturbances, plan)
        self._fleet = Fleet(
            plan,
            folder,
            self._upstream.url,
            queue.url,
            disturbances,
            maxsize=self._goods.room,
        )
        self._storage = Storage(self._fleet.root)
        self._receipts = Receipts(disturbances)
        self._vitals = Vitals(self._fleet.members)
        self._findings = Findings(
            plan, queue, self._goods, self._upstream, self._fleet, self._receipts, self._vitals
        )
        self._largest = 0
        self._over: list[bool] = []
        self._sampled = 0.0

    def run(self) -> Ledger:
        """All of it; the ledger."""
        with ExitStack() as stack:
            stack.enter_context(self._upstream)
            stack.callback(self._fleet.close)
            self._fleet.start()
            self._until_up()
            self._vitals.sample()
            deeds = Deeds(
                self._plan,
                self._fleet,
                self._queue,
                self._upstream,
                self._goods,
                self._disturbances,
            )
            self._upstream.trouble = self._plan.trouble
            with self._shopping():
                self._go_on(self._plan.seconds, deeds)
                deeds.undo()
                self._until_up()
                self._go_on(self._plan.calm)
            self._settle()
            self._expire()
            self._end()
        self._findings.of_the_run(self._disturbances)
        return self._findings.ledger

    @contextmanager
    def _shopping(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [
            threading.Thread(
                target=Shopper(
                    self._goods, self._fleet.port, self._receipts, self._plan.seed * 1000 + number
                ).shop,
                args=(stop,),
            )
            for number in range(self._plan.shoppers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _go_on(self, seconds: float, deeds: Deeds | None = None) -> None:
        """For so long, with or without deeds, look after the processes.

        What a deed itself takes, as to start a broker again, is not counted.
        """
        waiting = threading.Event()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if deeds is not None:
                began = time.monotonic()
                deeds.step()
                end += time.monotonic() - began
            self._fleet.look()
            for member in self._fleet.members:
                if member.state == DOWN and member.surprises:
                    member.start()  # as whatever keeps processes running would
            self._sample()
            waiting.wait(_TICK)

    def _sample(self) -> None:
        if time.monotonic() - self._sampled >= _SAMPLE:
            self._sampled = time.monotonic()
            self._vitals.sample()
            size = self._storage.size()
            self._over.append(size > self._goods.room)
            self._largest = max(self._largest, size)

    def _until_up(self) -> None:
        """Wait until every frontend answers."""
        until(self._all_answer, _PATIENCE, "all frontends to answer")

    def _all_answer(self) -> bool:
        self._fleet.look()
        if not self._vitals.begun:
            self._fleet.must_live()
        return all(member.answers() for member in self._fleet.members) and self._fleet.serves()

    def _settle(self) -> None:
        """Nobody pulls any more: the work comes to an end, and everything is right."""
        broker = open_broker(self._queue.url, name="chaos")
        try:
            self._findings.drained(self._drain(broker), _dead(broker))
            self._vitals.sample()
            self._findings.before_healing(self._storage.look())
            missing = Shopper(self._goods, self._fleet.port, self._receipts, 0).pull_everything()
            self._drain(broker)  # what was fetched ahead may still be being linked
        finally:
            broker.close()
        self._findings.healed(missing, self._storage.look())
        end = time.monotonic() + _PATIENCE
        while self._storage.size() > self._goods.room and time.monotonic() < end:
            threading.Event().wait(_TICK)
        self._findings.within_limit(self._storage.size(), self._over, self._largest)
        self._findings.left_over(self._storage.leftovers())

    def _drain(self, broker: Broker) -> dict[str, int]:
        """How many messages wait, once there are none or it has taken too long."""
        end = time.monotonic() + _PATIENCE
        while True:
            depths = _depths(broker)
            if depths == {} or time.monotonic() > end:
                return depths
            threading.Event().wait(_TICK)

    def _expire(self) -> None:
        """A life later nothing is left; nor of what crashes left, a day later."""
        aged = self._storage.age(BOUND + 3600)
        end = time.monotonic() + self._plan.ttl + 3 * self._plan.sweep_interval + _PATIENCE
        while time.monotonic() < end and (self._storage.remains() or self._storage.overdue()):
            self._go_on(0.5)
        self._findings.expired(aged, self._storage.remains(), self._storage.overdue())

    def _end(self) -> None:
        """SIGTERM to all: every process ends well, and leaves none behind."""
        began = time.monotonic()
        for member in self._fleet.members:
            member.end()
        end = began + _PATIENCE
        while time.monotonic() < end and any(each.state != DOWN for each in self._fleet.members):
            self._fleet.look()
            threading.Event().wait(_TICK)
        self._findings.ended(time.monotonic() - began)


def _depths(broker: Broker) -> dict[str, int]:
    try:
        depths = {queue.value: broker.depth(queue) for queue in Queue}
    except BrokerUnavailable:
        return {"the broker": -1}
    return {name: depth for name, depth in depths.items() if depth}


def _dead(broker: Broker) -> int:
    return broker.dead()
