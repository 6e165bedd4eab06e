"""What is done with the ledger, each inside the transaction of whoever calls."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.broker.embedded.graveyard import Graveyard
from common.messages import Queue

# Dead letters kept for people to look at; the oldest go first.
_DEAD_KEPT = 10_000

# Another publication of a waiting key leaves one row. For work the earliest due counts, but what
# waits to be retried is not hurried: an upstream asked for that pause, and every waiting client
# publishes again and again. For an expiry the newest due counts: that is how it is renewed.
_COUNTS = "queue = 'expiry' OR (attempts = 0 AND excluded.due_ms < due_ms)"
_PUT = f"""
    INSERT INTO job (queue, key, body, due_ms, delay_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (queue, key) WHERE owner IS NULL DO UPDATE SET
        body = excluded.body,
        due_ms = iif({_COUNTS}, excluded.due_ms, due_ms),
        delay_ms = iif({_COUNTS}, excluded.delay_ms, delay_ms)
"""  # noqa: S608 - our own words

# What is due further ahead than it was ever to wait was dated before the clock was set back: its
# delay begins anew. Not by less than a second, as clocks are corrected by little all the time; nor
# for expiries, which may be a million: what they miss a sweep finds.
_SET_BACK_MS = 1000
_REDATE = """
    UPDATE job SET due_ms = :now + delay_ms
    WHERE queue = :queue AND owner IS NULL AND due_ms > :now + delay_ms + :set_back
        AND due_ms > :now + :set_back
"""

# A full queue takes no further key rather than grow until the disk is full; what waits already may
# be published again. Expiries are bounded by what is in storage.
LONGEST = {Queue.INTERACTIVE: 100_000, Queue.PREFETCH: 100_000}

# A key that runs, in whatever process and from whatever queue, is not handed out a second time.
_CLAIM = """
    UPDATE job SET owner = ?, lease_ms = ?, attempts = attempts + 1 WHERE id = (
        SELECT id FROM job AS candidate
        WHERE queue = ? AND owner IS NULL AND due_ms <= ? AND NOT EXISTS (
            SELECT 1 FROM job AS running
            WHERE running.key = candidate.key AND running.owner IS NOT NULL)
        ORDER BY due_ms, id LIMIT 1)
    RETURNING id, body, attempts
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A row handed out; `attempt` counts this time too."""

    id: int
    queue: Queue
    body: bytes
    attempt: int


class Ledger:
    """Rows in and out. Times are milliseconds since 1970. Any method may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Made anew for each transaction: what it counted holds until the commit."""
        self._connection = connection
        self._room: dict[Queue, int] = {}

    def put(self, queue: Queue, key: str, body: bytes, due_ms: int, delay_ms: int = 0) -> bool:
        """Have `key` wait in `queue` until `due_ms`, which is in `delay_ms`; False when that is full."""
        if queue in LONGEST and not self._has_room(queue) and not self._waits(queue, key):
            return False
        self._connection.execute(_PUT, (queue.value, key, body, due_ms, delay_ms))
        return True

    def _has_room(self, queue: Queue) -> bool:
        # Counted once for a transaction: what is published onto a waiting row takes no room, so
        # this errs on the side of refusing, by one batch at most.
        if queue not in self._room:
            query = "SELECT count(*) FROM job WHERE queue = ? AND owner IS NULL"
            self._room[queue] = LONGEST[queue] - self._count(query, (queue.value,))
        self._room[queue] -= 1
        return self._room[queue] >= 0

    def _waits(self, queue: Queue, key: str) -> bool:
        query = "SELECT count(*) FROM job WHERE queue = ? AND key = ? AND owner IS NULL"
        return self._count(query, (queue.value, key)) > 0

    def claim(
        self,
        owner: str,
        queues: Sequence[Queue],
        limit: int,
        now_ms: int,
        lease_ms: int,
        *,
        later: int | None = None,
    ) -> list[Claim]:
        """Hand up to `limit` due rows to `owner`, all of an earlier queue before a later one's.

        Of them up to `later`, where given, are of other queues than the first.
        """
        found: list[Claim] = []
        most = limit
        for queue in queues:
            if queue is not Queue.EXPIRY:
                self._redate(queue, now_ms)
            while len(found) < most and (claim := self._next(owner, queue, now_ms, lease_ms)):
                found.append(claim)
            if queue is queues[0] and later is not None:
                most = min(limit, len(found) + later)
        return found

    def _redate(self, queue: Queue, now_ms: int) -> None:
        values = {"now": now_ms, "queue": queue.value, "set_back": _SET_BACK_MS}
        self._connection.execute(_REDATE, values)

    def _next(self, owner: str, queue: Queue, now_ms: int, lease_ms: int) -> Claim | None:
        rows = self._connection.execute(_CLAIM, (owner, lease_ms, queue.value, now_ms)).fetchall()
        return next((Claim(id_, queue, body, attempt) for id_, body, attempt in rows), None)

    def next_due(self, queues: Sequence[Queue], now_ms: int) -> int | None:
        """When the next delayed row of `queues` is due."""
        dues = [self._next_due(queue, now_ms) for queue in queues]
        return min((due for due in dues if due is not None), default=None)

    def _next_due(self, queue: Queue, now_ms: int) -> int | None:
        query = "SELECT min(due_ms) FROM job WHERE queue = ? AND owner IS NULL AND due_ms > ?"
        due: int | None = self._connection.execute(query, (queue.value, now_ms)).fetchone()[0]
        return due

    def finish(self, job: int, owner: str, now_ms: int) -> None:
        """Done with, and so is what was published for the key meanwhile and is due.

        What was published with a delay stays: that is how a running expiry is put off.
        Nothing when the row is not `owner`'s any more.
        """
        query = "DELETE FROM job WHERE id = ? AND owner = ? RETURNING key"
        for (key,) in self._connection.execute(query, (job, owner)).fetchall():
            self._connection.execute(
                "DELETE FROM job WHERE key = ? AND owner IS NULL AND due_ms <= ?", (key, now_ms)
            )

    def postpone(self, job: int, owner: str, due_ms: int, delay_ms: int) -> None:
        """Have it wait again, as `put`; it takes in what was published for the key meanwhile."""
        self._free("id = ? AND owner = ?", (job, owner), due_ms, delay_ms)

    def defer(self, job: int, owner: str, due_ms: int, delay_ms: int) -> None:
        """The same, without this time having been an attempt."""
        self._connection.execute(
            "UPDATE job SET attempts = attempts - 1 WHERE id = ? AND owner = ?", (job, owner)
        )
        self.postpone(job, owner, due_ms, delay_ms)

    def bury(self, job: int, owner: str, reason: str, now_ms: int) -> None:
        """Move it to the dead letters."""
        self._connection.execute(
            "INSERT INTO dead (queue, key, body, attempts, reason, died_ms)"
            " SELECT queue, key, body, attempts, ?, ? FROM job WHERE id = ? AND owner = ?",
            (reason, now_ms, job, owner),
        )
        self._connection.execute(
            "DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - ?", (_DEAD_KEPT,)
        )
        self.finish(job, owner, now_ms)

    def extend(self, owner: str, jobs: Sequence[int], lease_ms: int) -> None:
        """Hold `jobs` on."""
        self._connection.executemany(
            "UPDATE job SET lease_ms = ? WHERE id = ? AND owner = ?",
            [(lease_ms, job, owner) for job in jobs],
        )

    def owners(self) -> list[str]:
        """Everybody who holds a row."""
        query = "SELECT DISTINCT owner FROM job WHERE owner IS NOT NULL"
        return [owner for (owner,) in self._connection.execute(query)]

    def release(self, owner: str, now_ms: int) -> int:
        """Have what a dead owner held wait again, due at once; how many rows."""
        return self._free("owner = ?", (owner,), now_ms)

    def release_overdue(self, now_ms: int) -> int:
        """The same for rows whose lease ran out: their owner lives but lost sight of them."""
        return self._free("owner IS NOT NULL AND lease_ms < ?", (now_ms,), now_ms)

    def give_back(self, owner: str, now_ms: int) -> None:
        """Release what we held and did not settle; it was nobody's failure, so not an attempt."""
        self._connection.execute("UPDATE job SET attempts = attempts - 1 WHERE owner = ?", (owner,))
        self.release(owner, now_ms)

    def _free(
        self, which: str, parameters: Sequence[object], due_ms: int, delay_ms: int = 0
    ) -> int:
        rows = self._connection.execute(
            f"SELECT id, queue, key FROM job WHERE {which}",  # noqa: S608 - our own words
            parameters,
        ).fetchall()
        for job, queue, key in rows:
            # Only one row of a key may wait: the one that carries the attempts.
            self._connection.execute(
                "DELETE FROM job WHERE queue = ? AND key = ? AND owner IS NULL", (queue, key)
            )
            self._connection.execute(
                "UPDATE job SET owner = NULL, due_ms = ?, delay_ms = ? WHERE id = ?",
                (due_ms, delay_ms, job),
            )
        return len(rows)

    def depth(self, queue: Queue, now_ms: int) -> int:
        """How many rows are due in `queue`."""
        query = "SELECT count(*) FROM job WHERE queue = ? AND owner IS NULL AND due_ms <= ?"
        return self._count(query, (queue.value, now_ms))

    def oldest_due(self, queue: Queue) -> int | None:
        """When the first row that waits in `queue` is due, or was; None: none waits."""
        query = "SELECT min(due_ms) FROM job WHERE queue = ? AND owner IS NULL"
        due: int | None = self._connection.execute(query, (queue.value,)).fetchone()[0]
        return due

    def dead(self) -> int:
        """How many dead letters there are."""
        return self._count("SELECT count(*) FROM dead", ())

    @property
    def graveyard(self) -> Graveyard:
        """The dead letters themselves."""
        return Graveyard(self._connection)

    def _count(self, query: str, parameters: Sequence[object]) -> int:
        counts: Iterator[tuple[int]] = self._connection.execute(query, parameters)
        return next(counts)[0]
