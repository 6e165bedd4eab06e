"""What is the embedded queue's alone: its file, its folder, its promises beyond the contract."""

import os
import signal
import socket
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.broker import Broker
from common.broker.embedded.broker import EmbeddedBroker
from common.broker.embedded.ledger import Claim, Ledger
from common.broker.embedded.locking import locked, try_lock
from common.broker.embedded.mailbox import Mailbox
from common.broker.embedded.owners import Owners
from common.broker.embedded.schema import prepare
from common.errors import BrokerUnavailable
from common.messages import Queue
from tests.common.broker_parts import Brokers, Gate, Recorder, event, expiry, job
from tests.parts.disk import disk_at
from tests.waiting import until

WORK = (Queue.INTERACTIVE, Queue.PREFETCH)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Brokers]:
    opened = Brokers(f"sqlite://{tmp_path}/queue.db", tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection)
    yield Ledger(connection)
    connection.close()


def claim(ledger: Ledger, owner: str, now_ms: int, queue: Queue = Queue.INTERACTIVE) -> list[bytes]:
    """What `owner` gets at that time, with a lease of a second."""
    return [job.body for job in ledger.claim(owner, [queue], 10, now_ms, now_ms + 1000)]


def published(publisher: Broker, name: str) -> bool:
    """Whether a job could be published."""
    with suppress(BrokerUnavailable):
        publisher.publish(Queue.INTERACTIVE, job(name)).result(10)
        return True
    return False


def test_the_file_may_be_removed_under_running_processes(brokers: Brokers, tmp_path: Path) -> None:
    handler = Recorder()
    publisher = brokers.open()
    brokers.open().consume(WORK, 1, handler)
    publisher.publish(Queue.INTERACTIVE, job("before")).result(10)
    handler.until(1)
    for name in ("queue.db", "queue.db-wal", "queue.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    # Again and again, as frontends do: the log of a new file may have been removed, too.
    until(lambda: published(publisher, "after") and job("after").key in handler.keys, 20)
    assert (tmp_path / "queue.db").exists()


@pytest.mark.parametrize("suffixes", [["-wal"], ["-wal", "-shm"], ["-shm"]])
def test_what_stands_beside_the_file_may_be_removed_under_running_processes(
    brokers: Brokers, tmp_path: Path, suffixes: list[str]
) -> None:
    child = brokers.child("ack")
    publisher = brokers.open()
    publisher.publish(Queue.INTERACTIVE, job("before")).result(10)
    child.until_said(f"done {job('before').key}")
    for suffix in suffixes:
        # The child may have missed the one before, and be making all anew.
        (tmp_path / f"queue.db{suffix}").unlink(missing_ok=True)
    # Another who comes then, and sees what is there.
    newcomer = brokers.open()

    for name, by in (("of a newcomer", newcomer), ("of one who was there", publisher)):
        until(lambda: published(by, name) and job(name).key in child.said("done"), 20)  # noqa: B023


def test_everything_of_the_queue_may_be_removed_under_running_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No mailbox finds out by itself: closing does not wait until one would.
    monkeypatch.setattr("common.broker.embedded.mailbox._LOOK_SECONDS", 60.0)
    folder = tmp_path / "entrepot"
    brokers = Brokers(f"sqlite://{folder}/queue.db", tmp_path)
    handler = Recorder()
    brokers.open().consume(WORK, 1, handler)
    publisher = brokers.open()
    publisher.publish(Queue.INTERACTIVE, job("before")).result(10)
    handler.until(1)
    folder.rename(tmp_path / "gone")
    publisher.publish(Queue.INTERACTIVE, job("after")).result(10)
    handler.until(2)
    begun = time.monotonic()
    brokers.close()
    assert time.monotonic() - begun < 20


def test_who_begins_on_a_disk_that_has_failed_waits_for_a_better_one(tmp_path: Path) -> None:
    with disk_at(tmp_path / "disk") as disk:
        brokers = Brokers(f"sqlite://{disk.path}/queue.db", tmp_path)
        # One that is dead and cannot be removed: a lock is taken on a file opened for writing.
        owners = disk.path / "owners"
        owners.mkdir()
        (owners / "1-dead").touch()
        os.sync()
        disk.fail()
        handler = Recorder()
        consumer = brokers.open()
        consumer.consume(WORK, 1, handler)
        with pytest.raises(BrokerUnavailable):
            consumer.publish(Queue.INTERACTIVE, job("lost")).result(10)
        disk.repair()
        consumer.publish(Queue.INTERACTIVE, job("kept")).result(10)
        handler.until(1)
        brokers.close()


def test_a_removed_file_with_its_log_left_behind_is_not_brought_back(
    brokers: Brokers, tmp_path: Path
) -> None:
    publisher = brokers.open()
    publisher.publish(Queue.INTERACTIVE, job("before")).result(10)
    (tmp_path / "queue.db").unlink()
    publisher.publish(Queue.INTERACTIVE, job("after")).result(10)
    assert publisher.depth(Queue.INTERACTIVE) == 1


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"", b"SQLite format 3\x00"])
def test_a_broken_file_is_put_aside_and_work_goes_on(
    brokers: Brokers, tmp_path: Path, content: bytes
) -> None:
    handler = Recorder()
    publisher = brokers.open()
    brokers.open().consume(WORK, 1, handler)
    publisher.publish(Queue.INTERACTIVE, job("before")).result(10)
    handler.until(1)
    (tmp_path / "queue.db-wal").unlink(missing_ok=True)
    (tmp_path / "queue.db").write_bytes(content)
    publisher.publish(Queue.INTERACTIVE, job("after")).result(10)
    handler.until(2)


def test_a_file_of_another_shape_is_put_aside(brokers: Brokers, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "queue.db")
    other.execute("CREATE TABLE something (else_ TEXT)")
    other.close()
    brokers.open().publish(Queue.INTERACTIVE, job("a")).result(10)
    assert (tmp_path / "queue.db.broken").exists()


def test_a_file_that_cannot_be_made_fails_publications_until_it_can(tmp_path: Path) -> None:
    obstacle = tmp_path / "entrepot"
    obstacle.write_text("a file where a folder should be")
    broker = EmbeddedBroker(obstacle / "queue.db")
    with pytest.raises(BrokerUnavailable):
        broker.publish(Queue.INTERACTIVE, job("a")).result(10)
    assert not broker.connected
    obstacle.unlink()
    broker.publish(Queue.INTERACTIVE, job("a")).result(10)
    assert broker.depth(Queue.INTERACTIVE) == 1
    broker.close()


def test_a_held_file_fails_publications_in_bounded_time(brokers: Brokers, tmp_path: Path) -> None:
    publisher = brokers.open()
    publisher.publish(Queue.INTERACTIVE, job("a")).result(10)
    holder = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BrokerUnavailable):
        publisher.publish(Queue.INTERACTIVE, job("b")).result(10)
    holder.execute("ROLLBACK")
    holder.close()
    publisher.publish(Queue.INTERACTIVE, job("b")).result(10)


def test_a_path_too_long_for_a_socket_is_fine(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    brokers = Brokers(f"sqlite://{folder}/queue.db", tmp_path)
    handler = Recorder()
    brokers.open().consume(WORK, 1, handler)
    publisher = brokers.open()
    hops = []
    for number in range(5):
        begun = time.monotonic()
        publisher.publish(Queue.INTERACTIVE, job(number)).result(10)
        handler.until(number + 1)
        hops.append(handler.calls[-1].at - begun)
    assert statistics.median(hops) < 0.5  # woken, not found by looking
    brokers.close()


def test_nothing_is_opened_and_no_thread_started_before_it_is_used(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    broker = EmbeddedBroker(tmp_path / "entrepot" / "queue.db")
    assert not (tmp_path / "entrepot").exists()
    assert not set(threading.enumerate()) - before
    broker.close()


def test_closing_leaves_nothing_but_the_file(brokers: Brokers, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    broker = brokers.open()
    broker.subscribe(lambda _: None)
    handler = Recorder()
    broker.consume(WORK, 1, handler)
    broker.publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    broker.close(drain=5)
    until(lambda: not set(threading.enumerate()) - before)
    assert not list((tmp_path / "wake").iterdir())
    assert not list((tmp_path / "owners").iterdir())


def test_what_the_dead_left_is_swept_up(brokers: Brokers, tmp_path: Path) -> None:
    child = brokers.child("hang")
    child.until_said("consuming")
    child.kill()
    handler = Recorder()
    brokers.open().consume(WORK, 1, handler)
    brokers.open().publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    until(lambda: len(list((tmp_path / "wake").iterdir())) == 1)
    assert len(list((tmp_path / "owners").iterdir())) == 1


def test_a_stopped_listener_delays_nobody_and_is_told_what_it_missed(brokers: Brokers) -> None:
    child = brokers.child("listen")
    child.until_said("listening")
    os.kill(child.pid, signal.SIGSTOP)
    broker = brokers.open()
    begun = time.monotonic()
    for number in range(3000):
        broker.emit(event(number))
    took = time.monotonic() - begun
    os.kill(child.pid, signal.SIGCONT)
    assert took < 20

    def told_of_gaps() -> int:
        return child.output().splitlines().count("listening")

    def emitted_until_told() -> bool:
        broker.emit(event("again"))
        return told_of_gaps() > 1

    def emitted_until_heard(name: str) -> bool:
        broker.emit(event(name))
        return f"heard event {name}\n" in child.output()

    def is_told_no_more(turn: int) -> bool:
        until(lambda: emitted_until_heard(f"caught up {turn}"))
        gaps = told_of_gaps()
        broker.emit(event(f"last {turn}"))
        child.until_said(f"heard event last {turn}\n")
        # Who gets no time to listen for a while misses something anew.
        return told_of_gaps() == gaps

    until(emitted_until_told)
    turns = count()
    until(lambda: is_told_no_more(next(turns)), 60, "a turn in which nothing was missed")


def test_the_dead_are_told_from_the_living(tmp_path: Path) -> None:
    mine, other = Owners(tmp_path), Owners(tmp_path)
    mine.enter()
    assert not other.is_dead(mine.me)
    assert other.is_dead("1-never-was")
    mine.leave()
    assert other.is_dead(mine.me)


def test_who_enters_while_a_sweeper_looks_is_seen_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = Owners(tmp_path), Owners(tmp_path)
    taken: list[bool] = []

    def swept_first(path: Path) -> int | None:
        if not taken:
            path.touch()
            with locked(path, 1.0):
                taken.append(True)
                return try_lock(path)
        return try_lock(path)

    monkeypatch.setattr("common.broker.embedded.owners.try_lock", swept_first)
    mine.enter()
    monkeypatch.undo()
    assert taken
    assert not other.is_dead(mine.me)
    mine.leave()


def test_a_handler_that_outlasts_its_broker_opens_nothing(brokers: Brokers) -> None:
    heard: list[str] = []
    listener = brokers.open()
    listener.subscribe(lambda told: heard.append(told.key))
    broker = EmbeddedBroker(Path(brokers.url.removeprefix("sqlite://")))
    broker.close()
    broker.emit(event("too late"))
    assert broker.publish(Queue.INTERACTIVE, job("too late")).exception(10) is not None
    assert broker._post._socket is None
    listener.emit(event("in time"))
    until(lambda: heard)
    assert heard == ["event in time"]


def test_a_mailbox_that_cannot_be_bound_leaves_no_socket_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []

    def noting(*arguments: Any) -> socket.socket:
        opened.append(socket.socket(*arguments))
        return opened[-1]

    monkeypatch.setattr(
        "common.broker.embedded.mailbox.socket",
        SimpleNamespace(**vars(socket) | {"socket": noting}),
    )
    mailbox = Mailbox(tmp_path, "x" * 300, lambda _: None, lambda: None)
    mailbox.close()
    assert opened
    assert all(each.fileno() == -1 for each in opened)


def test_a_waiting_key_is_kept_once_and_due_at_its_earliest(ledger: Ledger) -> None:
    ledger.put(Queue.INTERACTIVE, "k", b"1", 5000)
    ledger.put(Queue.INTERACTIVE, "k", b"2", 1000)
    ledger.put(Queue.INTERACTIVE, "k", b"3", 9000)
    assert claim(ledger, "me", 1000) == [b"3"]
    assert ledger.next_due([Queue.INTERACTIVE], 0) is None


HOUR = 3_600_000


def test_a_retry_waits_no_longer_than_its_delay_when_the_clock_is_set_back(ledger: Ledger) -> None:
    now = 10 * HOUR
    ledger.put(Queue.INTERACTIVE, "k", b"1", now)
    (claimed,) = ledger.claim("me", [Queue.INTERACTIVE], 1, now, now + 1000)
    ledger.postpone(claimed.id, "me", now + 5000, 5000)
    back = now - HOUR
    ledger.put(Queue.INTERACTIVE, "k", b"2", back)
    assert claim(ledger, "me", back) == []
    assert claim(ledger, "me", back + 4999) == []
    assert claim(ledger, "me", back + 5000) == [b"2"]


def test_a_delayed_job_waits_no_longer_than_its_delay_when_the_clock_is_set_back(
    ledger: Ledger,
) -> None:
    now = 10 * HOUR
    for name, delay in (("k", 9000), ("k", 7000), ("k", 8000), ("later", 2 * HOUR)):
        ledger.put(Queue.PREFETCH, name, b"%d" % delay, now + delay, delay)
    back = now - HOUR
    assert claim(ledger, "me", back, Queue.PREFETCH) == []
    assert claim(ledger, "me", back + 6999, Queue.PREFETCH) == []
    assert claim(ledger, "me", back + 7000, Queue.PREFETCH) == [b"8000"]
    assert claim(ledger, "me", back + 2 * HOUR, Queue.PREFETCH) == [b"%d" % (2 * HOUR)]


def test_a_retry_comes_back_though_the_clock_is_set_back_meanwhile(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = Recorder(
        lambda delivery: delivery.retry(1.0) if delivery.attempt == 1 else delivery.ack()
    )
    consumer = brokers.open()
    consumer.consume(WORK, 1, handler)
    consumer.publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    handler.until(2)
    assert handler.calls[1].at - handler.calls[0].at >= 1.0


def test_publishing_a_waiting_expiry_renews_it(ledger: Ledger) -> None:
    ledger.put(Queue.EXPIRY, "k", b"1", 1000)
    ledger.put(Queue.EXPIRY, "k", b"2", 7000)
    assert claim(ledger, "me", 6999, Queue.EXPIRY) == []
    assert claim(ledger, "me", 7000, Queue.EXPIRY) == [b"2"]


def test_a_key_is_not_run_beside_itself_by_another_owner(ledger: Ledger) -> None:
    ledger.put(Queue.PREFETCH, "k", b"1", 0)
    assert claim(ledger, "me", 1, Queue.PREFETCH) == [b"1"]
    ledger.put(Queue.INTERACTIVE, "k", b"2", 0)
    ledger.put(Queue.PREFETCH, "k", b"3", 0)
    assert claim(ledger, "other", 2) == []
    assert claim(ledger, "other", 2, Queue.PREFETCH) == []


def test_a_lease_that_ran_out_frees_the_job(ledger: Ledger) -> None:
    ledger.put(Queue.INTERACTIVE, "k", b"1", 0)
    assert claim(ledger, "me", 0) == [b"1"]
    assert ledger.release_overdue(1000) == 0
    assert ledger.release_overdue(1001) == 1
    (again,) = ledger.claim("other", [Queue.INTERACTIVE], 1, 1001, 2001)
    assert again.attempt == 2


def test_who_lost_a_job_cannot_settle_it(ledger: Ledger) -> None:
    ledger.put(Queue.INTERACTIVE, "k", b"1", 0)
    (lost,) = ledger.claim("me", [Queue.INTERACTIVE], 1, 0, 1000)
    ledger.release("me", 5)
    assert claim(ledger, "other", 5) == [b"1"]
    ledger.finish(lost.id, "me", 6)
    ledger.postpone(lost.id, "me", 6, 1)
    ledger.bury(lost.id, "me", "too late", 6)
    assert ledger.owners() == ["other"]
    assert ledger.dead() == 0


def test_a_released_job_takes_in_what_was_published_meanwhile(ledger: Ledger) -> None:
    ledger.put(Queue.INTERACTIVE, "k", b"1", 0)
    claim(ledger, "me", 0)
    ledger.put(Queue.INTERACTIVE, "k", b"2", 0)
    assert ledger.release("me", 10) == 1
    assert ledger.depth(Queue.INTERACTIVE, 10) == 1


def test_an_unsettled_job_given_back_keeps_its_attempt(ledger: Ledger) -> None:
    ledger.put(Queue.INTERACTIVE, "k", b"1", 0)
    claim(ledger, "me", 0)
    ledger.give_back("me", 1)
    (again,) = ledger.claim("other", [Queue.INTERACTIVE], 1, 1, 1001)
    assert again.attempt == 1


def test_closing_a_consumer_is_not_an_attempt(brokers: Brokers) -> None:
    gate = Gate()
    handler, heir = Recorder(gate), Recorder()
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    broker.publish(Queue.INTERACTIVE, job("a")).result(10)
    handler.until(1)
    broker.close()
    gate.opened.set()
    brokers.open().consume(WORK, 1, heir)
    heir.until(1)
    assert heir.attempts == [1]


def test_what_was_claimed_in_the_moment_of_closing_is_not_begun(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, closing = threading.Event(), threading.Event()
    claim = Ledger.claim

    def claim_meanwhile(*arguments: Any, **named: Any) -> list[Claim]:
        found = claim(*arguments, **named)
        if found:
            claimed.set()
            closing.wait(10)
        return found

    monkeypatch.setattr(Ledger, "claim", claim_meanwhile)
    handler, heir = Recorder(), Recorder()
    broker = brokers.open()
    broker.consume(WORK, 1, handler)
    assert isinstance(broker, EmbeddedBroker)
    consumer = broker._consumer
    assert consumer is not None
    broker.publish(Queue.INTERACTIVE, job("a"))
    assert claimed.wait(10)
    ending = threading.Thread(target=broker.close, args=(5.0,))
    ending.start()
    until(lambda: consumer._draining)
    closing.set()
    ending.join(20)
    brokers.open().consume(WORK, 1, heir)
    heir.until(1)
    assert (handler.keys, heir.attempts) == ([], [1])


def test_expiries_of_different_names_are_kept_apart(brokers: Brokers) -> None:
    broker = brokers.open()
    for name in "ab":
        broker.publish(Queue.EXPIRY, expiry(name)).result(10)
    assert broker.depth(Queue.EXPIRY) == 2
