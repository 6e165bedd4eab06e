"""Floods: what one client may take, and that the others do not notice."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from common.broker import Delivery
from common.broker.embedded import ledger
from common.broker.embedded.broker import EmbeddedBroker
from common.digest import Digest
from common.errors import BrokerUnavailable
from common.messages import FetchBlob, FillCommitted, FillFailed, FillStarted, Queue
from common.reference import RepositoryName
from common.source import Source
from frontend.callers import SCOPE, Callers
from frontend.errors import Crowded
from frontend.limits import MISSING_BURST, MISSING_PER_SECOND, NARROW, Limits
from tests.frontend.flood import Got, Request, bogus, flood
from tests.frontend.stage import Filling, Stage, random_bytes, stage
from tests.waiting import until

FLOODER, OTHER = "127.0.0.2", "127.0.0.3"
REPOSITORY = "library/alpine"
CONTENT = random_bytes(300_000)
DIGEST = Digest.of(CONTENT)
BLOB = f"/v2/{REPOSITORY}/blobs/{DIGEST}"
PER_CLIENT = 32


def waiting(front: Stage) -> int:
    return front.broker.depth(Queue.INTERACTIVE)


class Fetcher:
    """Knows one blob, and takes a moment to say that it knows no other; one slot."""

    def __init__(self, front: Stage, moment: float) -> None:
        self._front, self._moment = front, moment
        self._over = threading.Event()
        self._asked: list[Digest] = []
        self.most_waiting = 0

    @property
    def asked_before(self) -> int:
        """How many jobs were worked on before the blob's."""
        return self._asked.index(DIGEST)

    def __enter__(self) -> Self:
        self._front.broker.consume([Queue.INTERACTIVE], 1, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _handle(self, delivery: Delivery) -> None:
        job = delivery.message
        assert isinstance(job, FetchBlob)
        self.most_waiting = max(self.most_waiting, waiting(self._front))
        self._asked.append(job.digest)
        self._over.wait(self._moment)
        delivery.ack()
        if job.digest == DIGEST:
            self._fill(job)
        else:
            self._front.broker.emit(refusal(job))

    def _fill(self, job: FetchBlob) -> None:
        filling = Filling(self._front, DIGEST, REPOSITORY, len(CONTENT))
        self._front.broker.emit(FillStarted(key=job.key, digest=DIGEST))
        filling.write(CONTENT)
        filling.commit()
        self._front.broker.emit(FillCommitted(key=job.key, digest=DIGEST))


def refusal(job: FetchBlob) -> FillFailed:
    return FillFailed(
        key=job.key,
        status=404,
        code="BLOB_UNKNOWN",
        message="the registry answered 404",
        retryable=False,
        digest=job.digest,
    )


def test_a_flood_from_one_client_does_not_hold_up_anothers_pull(tmp_path: Path) -> None:
    patient = {"patience": "60s"}
    with (
        stage(tmp_path / "root", frontend=patient) as front,
        flood(front, bogus(500), FLOODER) as flooding,
    ):
        until(lambda: waiting(front) == PER_CLIENT, 20)
        pull = Request(front.port, BLOB, OTHER)
        until(lambda: waiting(front) == PER_CLIENT + 1, 20)
        with Fetcher(front, moment=0.01) as fetcher:
            got = pull.answer()
            assert (got.status, got.body) == (200, CONTENT)
            answers = [request.answer() for request in flooding]
        assert fetcher.most_waiting <= PER_CLIENT + 1
        # Behind what was in the queue when it came, not behind 500.
        assert fetcher.asked_before <= PER_CLIENT
        assert {answer.status for answer in answers} <= {404, 503}
        assert sum(answer.status == 404 for answer in answers) > MISSING_BURST


def test_a_hit_is_answered_while_a_flood_waits(tmp_path: Path) -> None:
    with stage(tmp_path / "root") as front, flood(front, bogus(300), FLOODER):
        until(lambda: waiting(front) == PER_CLIENT, 20)
        digest = front.store_blob(REPOSITORY, b"here")
        assert front.ask(f"/v2/{REPOSITORY}/blobs/{digest}").body == b"here"
        assert waiting(front) == PER_CLIENT


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Stage]:
    bounds = {"maxwaiters": 40, "missesperclient": 8, "patience": "20s"}
    with stage(tmp_path / "root", frontend=bounds) as opened:
        yield opened


def told_to_wait(answer: Got) -> bool:
    return (answer.status, answer.code) == (503, "TOOMANYREQUESTS") and int(
        answer.headers["retry-after"]
    ) > 0


def test_past_its_share_a_client_is_told_to_come_again(narrow: Stage) -> None:
    with flood(narrow, bogus(20), FLOODER):
        until(lambda: waiting(narrow) == 8, 20)
        with flood(narrow, bogus(10, "b"), FLOODER) as refused:
            assert all(told_to_wait(request.answer()) for request in refused)
        with flood(narrow, bogus(3, "c"), OTHER):
            until(lambda: waiting(narrow) == 11, 20)


def test_past_all_places_everybody_is_told_to_come_again(narrow: Stage) -> None:
    with flood(narrow, bogus(20), FLOODER), flood(narrow, bogus(20, "b"), OTHER):
        until(lambda: waiting(narrow) == 16, 20)
        # One that still got a place is answered when its patience ends.
        until(lambda: told_to_wait(Request(narrow.port, BLOB, "127.0.0.4").answer()), 60)


def test_hanging_up_does_not_make_room_for_more_jobs(narrow: Stage) -> None:
    with flood(narrow, bogus(8), FLOODER):
        until(lambda: waiting(narrow) == 8, 20)
    with flood(narrow, bogus(8, "b"), FLOODER), flood(narrow, bogus(3, "c"), OTHER):
        until(lambda: waiting(narrow) == 11, 20)
        # All sixteen of the flooder have come by now, and the queue holds eight of them.
        assert waiting_now(narrow) == 11


def waiting_now(front: Stage) -> int:
    front.ask("/v2/")
    return waiting(front)


def test_a_job_whose_client_hung_up_is_joined_by_who_asks_again(narrow: Stage) -> None:
    with flood(narrow, [BLOB], FLOODER):
        until(lambda: waiting(narrow) == 1, 20)
    pull = Request(narrow.port, BLOB, OTHER)
    with Fetcher(narrow, moment=0.0):
        assert pull.answer().body == CONTENT


def test_the_place_in_line_ends_when_somebody_elses_job_brings_the_blob(narrow: Stage) -> None:
    with flood(narrow, bogus(8), FLOODER):
        until(lambda: waiting(narrow) == 8, 20)
        in_line = Request(narrow.port, BLOB, FLOODER)
        narrow.store_blob(REPOSITORY, CONTENT)
        assert in_line.answer().body == CONTENT


def test_forwarded_addresses_count_only_from_a_trusted_proxy(tmp_path: Path) -> None:
    bounds = {"missesperclient": 2}
    proxies = {"trustedproxies": ["127.0.0.2/32"]}
    with (
        stage(tmp_path / "root", frontend=bounds, http=proxies) as front,
        flood(front, bogus(4), FLOODER, "X-Forwarded-For: 10.0.0.1"),
        flood(front, bogus(4, "b"), FLOODER, "X-Forwarded-For: 10.0.0.1, 10.0.0.2"),
    ):
        until(lambda: waiting(front) == 4, 20)
        with (
            flood(front, bogus(4, "c"), OTHER, "X-Forwarded-For: 10.0.0.3"),
            flood(front, bogus(4, "d"), OTHER, "X-Forwarded-For: 10.0.0.4"),
        ):
            until(lambda: waiting(front) == 6, 20)
            assert waiting_now(front) == 6


def test_silent_connections_make_room_for_who_asks(tmp_path: Path) -> None:
    with stage(tmp_path / "root", frontend={"connections": 20}) as front:
        silent = [Silent(front.port) for _ in range(20)]
        assert Request(front.port, "/v2/", OTHER).answer().status == 200
        until(lambda: any(one.is_closed for one in silent), 10)
        for one in silent:
            one.close()


def test_a_connection_past_the_bound_is_told_to_come_again(tmp_path: Path) -> None:
    bounds = {"connections": 10, "maxwaiters": 100}
    with stage(tmp_path / "root", frontend=bounds) as front, flood(front, bogus(10), FLOODER):
        until(lambda: waiting(front) == 10, 20)
        assert told_to_wait(Request(front.port, "/v2/", OTHER).answer())


class Silent:
    """A connection on which nothing is ever asked."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setblocking(False)

    @property
    def is_closed(self) -> bool:
        try:
            return self._socket.recv(1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()


def test_a_full_embedded_queue_refuses_new_keys_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ledger.LONGEST, Queue.INTERACTIVE, 3)
    broker = EmbeddedBroker(tmp_path / "queue.sqlite")

    def publish(number: int) -> None:
        source = Source("", RepositoryName("library/app"))
        job = FetchBlob(source=source, digest=Digest(f"sha256:{number:064x}"))
        broker.publish(Queue.INTERACTIVE, job).result(10)

    try:
        for number in range(3):
            publish(number)
        with pytest.raises(BrokerUnavailable, match="full"):
            publish(3)
        publish(0)
        assert broker.depth(Queue.INTERACTIVE) == 3
        assert broker.connected
    finally:
        broker.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def from_address(address: str) -> None:
    SCOPE.set({"client": (address, 1), "headers": []})


def test_a_client_whose_jobs_are_about_nothing_gets_few_and_then_many_again() -> None:
    async def run() -> None:
        clock = Clock()
        limits = Limits(Callers(), places=1000, jobs_per_client=50, clock=clock)
        from_address("192.0.2.1")
        for _ in range(int(MISSING_BURST)):
            with limits.place() as place:
                turn = place.turn()
                assert turn is not None
                turn.end(missing=True)
        places = [limits.place() for _ in range(60)]
        turns = [turn for place in places if (turn := place.turn())]
        assert len(turns) == NARROW
        from_address("192.0.2.2")
        with limits.place() as place:
            assert place.turn() is not None
        clock.now += 2 / MISSING_PER_SECOND
        turns.pop().end()
        turns += [turn for place in places[NARROW:] if (turn := place.turn())]
        assert len(turns) == 50

    asyncio.run(run())


def test_a_client_that_waits_for_one_upstream_has_its_turns_for_another() -> None:
    async def run() -> None:
        limits = Limits(Callers(), jobs_per_client=1)
        from_address("192.0.2.1")
        slow, next_slow, other = limits.place("slow"), limits.place("slow"), limits.place("other")
        turn = slow.turn()
        assert turn is not None
        assert next_slow.turn() is None
        assert other.turn() is not None
        turn.end()
        assert next_slow.turn() is not None

    asyncio.run(run())


def test_turns_come_in_the_order_of_asking_and_unused_ones_are_passed_on() -> None:
    async def run() -> None:
        limits = Limits(Callers(), jobs_per_client=1)
        from_address("192.0.2.1")
        first, second, third = limits.place(), limits.place(), limits.place()
        turn = first.turn()
        assert turn is not None
        assert second.turn() is None
        assert third.turn() is None
        turn.end()
        turn.end()
        assert third.turn() is None
        with second:
            pass  # it has been granted, and goes
        assert third.turn() is not None

    asyncio.run(run())


def test_places_are_given_back() -> None:
    async def run() -> None:
        limits = Limits(Callers(), places=4)
        for _ in range(10):
            from_address("192.0.2.1")
            with limits.place(), limits.place():
                with pytest.raises(Crowded, match="of this client"):
                    limits.place()
                from_address("192.0.2.2")
                with limits.place(), limits.place():
                    from_address("192.0.2.3")
                    with pytest.raises(Crowded, match="too many requests wait"):
                        limits.place()

    asyncio.run(run())


def test_clients_that_are_gone_are_forgotten() -> None:
    async def run() -> None:
        limits = Limits(Callers())
        from_address("192.0.2.1")
        with limits.place():
            for number in range(10_000):
                from_address(f"10.0.{number // 256}.{number % 256}")
                with limits.place():
                    pass
            assert len(limits._clients) <= 4096
            assert "192.0.2.1" in limits._clients

    asyncio.run(run())


@pytest.mark.parametrize(
    ("peer", "forwarded", "name"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.1.2.3", ["1.1.1.1", "198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        ("10.1.2.3", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.1.2.3", ["[2001:db8::7]:4711"], "2001:db8::/64"),
        ("10.1.2.3", ["unknown"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.7, nonsense"], "10.1.2.3"),
        ("10.1.2.3", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("10.1.2.3", ["198.51.100.7," + "10.0.0.1," * 40 + "10.0.0.2"], "10.0.0.1"),
        ("::ffff:10.1.2.3", ["198.51.100.7"], "198.51.100.7"),
        ("2001:db8:1:2:3::1", [], "2001:db8:1:2::/64"),
        ("", [], "unknown"),
        ("", ["198.51.100.7"], "198.51.100.7"),
    ],
)
def test_who_is_asking(peer: str, forwarded: list[str], name: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    SCOPE.set({"client": (peer, 1) if peer else None, "headers": headers})
    assert Callers(["10.0.0.0/8", "unix"]).current() == name


def test_without_a_request_everything_is_one_client() -> None:
    SCOPE.set({})
    assert Callers().current() == "unknown"
