"""Takes jobs out of the ledger and hands them to slots."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial

from common import logs
from common.broker import MAX_ATTEMPTS, Delivery
from common.broker.delivery import ATTEMPTS_USED_UP, Ack, Defer, Handed, Outcome, Retry, serve
from common.broker.embedded.clock import delay_ms, due_ms, now_ms
from common.broker.embedded.ledger import Claim, Ledger
from common.broker.embedded.owners import Owners
from common.broker.embedded.scribe import Scribe
from common.broker.slots import Slots
from common.errors import BrokerUnavailable, UndecodableMessage
from common.messages import Queue, decode_message
from common.metrics.catalogue import DEAD_LETTERS

log = logs.get(__name__)

# Wake-ups arrive as datagrams; this is how late a lost one makes us, and how soon the jobs of a
# consumer that died are noticed.
LOOK_SECONDS = 1.0

# A lease only matters when its holder lives and has lost sight of the job, as after a settlement
# that could not be written, or when it is stopped: a death is seen by the owner's lock, at once.
# Extended at every look; and a client that waits for a stopped holder's job waits as long as this.
_LEASE_SECONDS = 15.0

# How long a handler waits until what it decided is written; it takes less than a millisecond, but
# where the disk does not answer.
_WRITING_SECONDS = 1.0


class Consumer:
    """One thread that claims, and the slots that work."""

    def __init__(
        self,
        scribe: Scribe,
        owners: Owners,
        queues: Sequence[Queue],
        slots: int,
        handler: Callable[[Delivery], None],
        *,
        reserved: int = 0,
    ) -> None:
        self._scribe = scribe
        self._owners = owners
        self._queues = tuple(queues)
        self._handler = handler
        self._slots = Slots(slots, on_free=self.poke)
        # The most slots for work of other queues than the first.
        self._later = slots - reserved
        self._held: dict[int, Queue] = {}
        self._poked = threading.Event()
        self._draining = False
        # Held while it is seen whether we drain and, if not, what was claimed is handed out.
        self._handing = threading.Lock()
        self._ended = False
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._loop, name="consumer", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        """Look now: there may be work, or a slot for it."""
        self._poked.set()

    def close(self, drain: float) -> None:
        """Claim no more, wait up to `drain` seconds for handlers, give back what they leave."""
        # What is being claimed just now is handed out before, and waited for, or not at all.
        with self._handing:
            self._draining = True
        # The loop goes on meanwhile: it keeps the leases of what still runs.
        self._slots.wait_idle(drain)
        self._ended = True
        self.poke()
        self._thread.join()
        self._slots.close()
        given_back = self._scribe.submit(lambda ledger: ledger.give_back(self._owners.me, now_ms()))
        if given_back.exception() is not None:
            log.warning("jobs not given back, their lease must run out")
        self._owners.leave()

    def _loop(self) -> None:
        while not self._ended:
            try:
                pause = self._round()
            except BrokerUnavailable:
                pause = LOOK_SECONDS
            except Exception:
                log.exception("a look for jobs failed")
                pause = LOOK_SECONDS
            self._poked.wait(pause)
            self._poked.clear()

    def _round(self) -> float:
        """Look after the living and the dead, then take what there is; seconds until next time."""
        if time.monotonic() >= self._next_look:
            # First: nothing is claimed by whom others do not see alive.
            self._look()
            self._next_look = time.monotonic() + LOOK_SECONDS
        free = 0 if self._draining else self._slots.free
        if free <= 0:
            return LOOK_SECONDS
        claims, next_due = self._scribe.submit(partial(self._claim, free)).result()
        if not self._hand_out(claims):
            self._scribe.submit(partial(_put_back, self._owners.me, claims)).result()
        if next_due is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, next_due / 1000 - time.time()))

    def _claim(self, limit: int, ledger: Ledger) -> tuple[list[Claim], int | None]:
        now = now_ms()
        running = list(self._held.values())  # others settle meanwhile
        later = self._later - sum(queue is not self._queues[0] for queue in running)
        claims = ledger.claim(
            self._owners.me, self._queues, limit, now, due_ms(_LEASE_SECONDS), later=later
        )
        return claims, ledger.next_due(self._queues, now)

    def _look(self) -> None:
        self._owners.enter()
        owners = self._scribe.submit(self._keep).result()
        dead = [owner for owner in owners if self._owners.is_dead(owner)]
        for owner in dead:
            jobs = self._scribe.submit(partial(_release, owner)).result()
            log.warning("a consumer died, its jobs are taken over", jobs=jobs)

    def _keep(self, ledger: Ledger) -> list[str]:
        ledger.extend(self._owners.me, tuple(self._held), due_ms(_LEASE_SECONDS))
        ledger.release_overdue(now_ms())
        return ledger.owners()

    def _hand_out(self, claims: list[Claim]) -> bool:
        """Whether that could be done: not when we are to end since they were claimed."""
        with self._handing:
            if self._draining:
                return False
            for claim in claims:
                self._held[claim.id] = claim.queue
            for claim in claims:
                self._hand(claim)
            return True

    def _hand(self, claim: Claim) -> None:
        settle = partial(self._settle, claim)
        try:
            message = decode_message(claim.body)
        except UndecodableMessage as error:
            log.error(  # noqa: TRY400 - a fact about a message, not about our code
                "undecodable message dead-lettered", queue=claim.queue.value, why=str(error)
            )
            DEAD_LETTERS.of(claim.queue.value).add()
            self._bury(claim, f"undecodable: {error}")
            return
        delivery = Handed(message, claim.queue, claim.attempt, settle)
        if claim.attempt > MAX_ATTEMPTS:
            # Handed out that often and never settled: whoever took it died of it.
            delivery.reject(ATTEMPTS_USED_UP)
            return
        self._slots.run(partial(serve, self._handler, delivery))

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        me = self._owners.me
        if isinstance(outcome, Ack):
            self._write(claim, lambda ledger: ledger.finish(claim.id, me, now_ms()))
        elif isinstance(outcome, Retry):
            due, delay = due_ms(outcome.delay), delay_ms(outcome.delay)
            self._write(claim, lambda ledger: ledger.postpone(claim.id, me, due, delay))
        elif isinstance(outcome, Defer):
            due, delay = due_ms(outcome.delay), delay_ms(outcome.delay)
            self._write(claim, lambda ledger: ledger.defer(claim.id, me, due, delay))
        else:
            self._bury(claim, outcome.reason)

    def _bury(self, claim: Claim, reason: str) -> None:
        me = self._owners.me
        self._write(claim, lambda ledger: ledger.bury(claim.id, me, reason, now_ms()))

    def _write(self, claim: Claim, work: Callable[[Ledger], None]) -> None:
        # No longer held: should the writing fail, the lease runs out and it is delivered again.
        self._held.pop(claim.id, None)
        writing = self._scribe.submit(work)
        writing.add_done_callback(self._written)
        # Who is told afterwards how the job ended may publish it again at once, and that is not
        # one of those that are settled with it.
        wait({writing}, _WRITING_SECONDS)

    def _written(self, written: Future[None]) -> None:
        if written.exception() is not None:
            log.warning("a settlement was not written, the message will come again")
        self.poke()


def _put_back(owner: str, claims: list[Claim], ledger: Ledger) -> None:
    for claim in claims:
        ledger.defer(claim.id, owner, now_ms(), 0)


def _release(owner: str, ledger: Ledger) -> int:
    return ledger.release(owner, now_ms())
