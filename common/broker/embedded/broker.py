"""The embedded backend."""

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from common import logs
from common.broker import Delivery
from common.broker.embedded.clock import delay_ms, due_ms, now_ms
from common.broker.embedded.consumer import LOOK_SECONDS, Consumer
from common.broker.embedded.ledger import Ledger
from common.broker.embedded.mailbox import Mailbox
from common.broker.embedded.owners import Owners
from common.broker.embedded.post import Post
from common.broker.embedded.scribe import Refused, Scribe
from common.broker.letters import MOST_LISTED, DeadLetter
from common.broker.listeners import Listeners
from common.errors import BrokerUnavailable
from common.messages import Event, Message, Queue, encode

log = logs.get(__name__)

T = TypeVar("T")

_WORK = "work"
_EVENTS = "events"

# How long a question to the ledger may take, in seconds.
_ANSWER_SECONDS = 10.0


class EmbeddedBroker:
    """A Broker in one SQLite file and datagrams; see the package for what lies where.

    Opens nothing and starts no thread before it is used, so it may be made before a fork.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._scribe = Scribe(path)
        self._wake = path.parent / "wake"
        self._post = Post(self._wake)
        self._listeners = Listeners()
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._mailboxes: dict[str, Mailbox] = {}

    @property
    def connected(self) -> bool:
        """See Broker: whether the last transaction could be made."""
        return self._scribe.healthy

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        """See Broker."""
        put = partial(_put, queue, message.key, encode(message), due_ms(delay), delay_ms(delay))
        published = self._scribe.submit(put)
        if delay < LOOK_SECONDS:
            # What is due later is found by the consumers' own looking.
            published.add_done_callback(self._wake_consumers)
        return published

    def consume(
        self,
        queues: Sequence[Queue],
        slots: int,
        handler: Callable[[Delivery], None],
        *,
        reserved: int = 0,
    ) -> None:
        """See Broker."""
        with self._lock:
            if self._consumer is not None:
                raise RuntimeError("consume is called once")
            owners = Owners(self._path.parent / "owners")
            owners.sweep()
            self._consumer = Consumer(
                self._scribe, owners, queues, slots, handler, reserved=reserved
            )
            poke = self._consumer.poke
            self._open_mailbox(_WORK, lambda _: poke(), poke)

    def emit(self, event: Event) -> None:
        """See Broker."""
        self._post.send(_EVENTS, encode(event))

    def subscribe(
        self, listener: Callable[[Event], None], on_gap: Callable[[], None] = lambda: None
    ) -> None:
        """See Broker."""
        self._listeners.add(listener, on_gap)
        with self._lock:
            if _EVENTS not in self._mailboxes:
                self._open_mailbox(_EVENTS, self._listeners.tell, self._listeners.tell_gap)

    def depth(self, queue: Queue) -> int:
        """See Broker."""
        return self._ask(lambda ledger: ledger.depth(queue, now_ms()))

    def oldest(self, queue: Queue) -> float:
        """For how many seconds the oldest that is due in `queue` has waited; 0: there is none."""
        due = self._ask(lambda ledger: ledger.oldest_due(queue))
        return 0.0 if due is None else max(0.0, (now_ms() - due) / 1000)

    def dead(self) -> int:
        """See Broker."""
        return self._ask(lambda ledger: ledger.dead())

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """See Broker."""
        bounded = min(limit, MOST_LISTED)
        return self._ask(lambda ledger: ledger.graveyard.letters(bounded))

    def retry_dead(self, ids: Collection[str] | None = None) -> int:
        """See Broker."""
        retried = self._ask(partial(_retry, ids))
        self._post.send(_WORK, b"work", patience=0.0)
        return retried

    def drop_dead(self, ids: Collection[str] | None = None) -> int:
        """See Broker."""
        return self._ask(partial(_drop, ids))

    def close(self, drain: float = 0.0) -> None:
        """See Broker."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
            mailboxes = list(self._mailboxes.values())
            self._mailboxes.clear()
        if consumer is not None:
            consumer.close(drain)
        # Handlers publish, settle and emit until they end: the rest closes after them.
        self._scribe.close()
        for mailbox in mailboxes:
            mailbox.close()
        self._post.close()

    def _wake_consumers(self, _published: Future[None]) -> None:
        # After the commit, or the one who wakes would find nothing. A full mailbox need not be
        # waited for: its consumer is about to look anyway.
        self._post.send(_WORK, b"work", patience=0.0)

    def _open_mailbox(
        self, kind: str, on_data: Callable[[bytes], None], on_missed: Callable[[], None]
    ) -> None:
        self._mailboxes[kind] = Mailbox(self._wake, kind, on_data, on_missed)

    def _ask(self, question: Callable[[Ledger], T]) -> T:
        try:
            return self._scribe.submit(question).result(_ANSWER_SECONDS)
        except TimeoutError as error:
            raise BrokerUnavailable("the queue's file does not answer") from error


def _put(queue: Queue, key: str, body: bytes, due: int, delay: int, ledger: Ledger) -> None:
    if not ledger.put(queue, key, body, due, delay):
        raise Refused(f"the queue {queue.value} is full")


def _retry(ids: Collection[str] | None, ledger: Ledger) -> int:
    retried = 0
    for row, queue, key, body in ledger.graveyard.chosen(ids):
        if queue is not None and ledger.put(queue, key, body, now_ms()):
            ledger.graveyard.remove(row)
            retried += 1
    return retried


def _drop(ids: Collection[str] | None, ledger: Ledger) -> int:
    chosen = ledger.graveyard.chosen(ids)
    for row, *_ in chosen:
        ledger.graveyard.remove(row)
    return len(chosen)
