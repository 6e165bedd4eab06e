"""One blob over several connections: right bytes, each once, in order, whatever goes wrong."""

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import pytest

from common.digest import Digest
from common.errors import UpstreamError
from common.fills import Epoch, Fill
from common.messages import Queue
from common.reference import RepositoryName
from fetcher.ahead import Ahead
from fetcher.blobs import BlobStream
from fetcher.growth import Growth
from fetcher.upstream import Upstream as Client
from fetcher.upstream import UpstreamSettings
from fetcher.urgency import somebody_waits, urgency
from tests.fetcher.workbench import Workbench, fetch, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import (
    Answer,
    Cut,
    Fault,
    Header,
    HoldBody,
    IgnoreRange,
    Stall,
    Status,
    Throttle,
    WrongContentRange,
)
from tests.parts.ranged import Busiest, FromByte, UpToByte, begins_at, starts
from tests.waiting import until

APP = RepositoryName("team/app")
SEGMENT = 256 * 1024
FIRST = SEGMENT // 2
LAYER = random.Random(5).randbytes(3_000_001)

# So slow that more connections pay, by far.
SLOW = Throttle(2_000_000)


@pytest.fixture
def judged_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By bytes a line looks fast to whoever comes late to what waits in the socket's buffer."""
    monkeypatch.setattr(
        "fetcher.upstream.Growth", lambda most, telling: Growth(most, 1024 * telling)
    )


@pytest.fixture
def digest(upstream: Upstream) -> Digest:
    return upstream.add_blob(APP, LAYER)


@pytest.fixture
def client(upstream: Upstream) -> Iterator[Client]:
    opened = opened_at(upstream)
    yield opened
    opened.close()


def opened_at(upstream: Upstream, ahead: Ahead | None = None, **settings: int) -> Client:
    chosen = {"segments": 4, "segment_size": SEGMENT} | settings
    described = UpstreamSettings(
        name="hub",
        remoteurl=upstream.url,
        segments=chosen["segments"],
        segment_size=chosen["segment_size"],
        max_connections=chosen.get("max_connections", 16),
        read_timeout=20.0,
    )
    return Client(described, ahead=ahead)


def received(client: Client, digest: Digest, offset: int = 0) -> bytes:
    with client.open_blob(APP, digest, offset=offset) as stream:
        return b"".join(stream.chunks())


def asked(upstream: Upstream) -> list[str]:
    return [exchange.headers.get("range", "") for exchange in upstream.seen("*/blobs/*", "GET")]


def assert_each_byte_was_asked_for_once(upstream: Upstream, first: int = 0) -> None:
    parts = sorted(
        tuple(int(end) for end in text.removeprefix("bytes=").split("-"))
        for text in asked(upstream)
    )
    assert parts[0][0] == first
    assert all(before[1] + 1 == after[0] for before, after in pairwise(parts)), parts
    assert parts[-1][1] + 1 >= len(LAYER)
    until(lambda: upstream.sent("*/blobs/*") == len(LAYER) - first, what="each byte sent once")


@pytest.mark.parametrize("offset", [0, 777_777])
def test_a_slow_blob_comes_in_parts_each_byte_once(
    upstream: Upstream, client: Client, digest: Digest, offset: int
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    assert received(client, digest, offset) == LAYER[offset:]
    assert_each_byte_was_asked_for_once(upstream, offset)
    until(lambda: client.condition.connections == 0, what="the threads' end")


def test_a_fast_blob_is_as_right(upstream: Upstream, client: Client, digest: Digest) -> None:
    assert received(client, digest) == LAYER
    assert_each_byte_was_asked_for_once(upstream)


def test_what_lies_behind_comes_while_the_front_stands_still(
    upstream: Upstream, client: Client, digest: Digest
) -> None:
    first = HoldBody(after=FIRST - 1)
    upstream.fail("*/blobs/*", UpToByte(1, Both(SLOW, first)))
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(received, client, digest)
        assert first.reached.wait(20)
        # What was begun beside it comes to its end.
        until(lambda: upstream.sent("*/blobs/*") >= FIRST - 1 + SEGMENT, what="what lies behind")
        first.release()
        assert whole.result(60) == LAYER


class Both(Fault):
    """Two faults, one after the other."""

    def __init__(self, one: Fault, other: Fault) -> None:
        self._faults = (one, other)

    def answer(self, answer: Answer) -> Answer:
        for fault in self._faults:
            answer = fault.answer(answer)
        return answer

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        for fault in self._faults:
            pieces = fault.body(pieces, stopping)
        return pieces


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1, SEGMENT, 2 * SEGMENT + 1])
def test_blobs_of_every_size_come_whole(upstream: Upstream, client: Client, size: int) -> None:
    content = LAYER[:size]
    digest = upstream.add_blob(APP, content)
    assert received(client, digest) == content
    assert len(asked(upstream)) == 1 or size > FIRST or size == 0


def test_what_nobody_waits_for_comes_by_one_connection(
    upstream: Upstream, client: Client, digest: Digest
) -> None:
    busy = Busiest(SLOW.bytes_per_second)
    upstream.fail("*/blobs/*", busy)
    with urgency(urgent=False):
        assert received(client, digest) == LAYER
    assert busy.most == 1
    assert_each_byte_was_asked_for_once(upstream)


@pytest.mark.usefixtures("judged_by_time")
@pytest.mark.parametrize("position", [1, FIRST, 500_000])
def test_what_somebody_comes_to_wait_for_then_comes_by_more(
    upstream: Upstream, client: Client, digest: Digest, position: int
) -> None:
    busy = Busiest(SLOW.bytes_per_second)
    upstream.fail("*/blobs/*", busy)
    with urgency(urgent=False), client.open_blob(APP, digest) as stream:
        chunks, begun = stream.chunks(), b""
        while len(begun) < position:
            begun += next(chunks)
        assert busy.most == 1
        somebody_waits()
        assert begun + b"".join(chunks) == LAYER
    assert busy.most > 1
    assert_each_byte_was_asked_for_once(upstream)


@pytest.mark.usefixtures("judged_by_time")
class TestABlobFetchedAhead:
    """Of its clients: what it is told of them in storage."""

    @pytest.fixture
    def busy(self, upstream: Upstream) -> Busiest:
        busy = Busiest(SLOW.bytes_per_second)
        upstream.fail("*/blobs/*", busy)
        return busy

    def test_has_more_connections_when_a_client_comes(
        self, tmp_path: Path, upstream: Upstream, digest: Digest, busy: Busiest
    ) -> None:
        # However late the client comes: most of it is still to come then.
        hold = HoldBody(after=1000)
        upstream.fail("*/blobs/*", hold)
        with segmented(tmp_path, upstream) as bench, ThreadPoolExecutor(1) as pool:
            fill = bench.fill(digest)
            ahead = pool.submit(bench.handle, fetch(APP, digest), queue=Queue.PREFETCH)
            until(lambda: fill.started() is not None, what="bytes to come")
            assert hold.reached.wait(20)
            assert fill.is_ahead()
            assert busy.most == 1
            fill.end_ahead()
            hold.release()
            assert ahead.result(30).settled == ["ack"]
            assert bench.data(digest) == LAYER
            assert bench.leftovers() == []
        assert busy.most > 1
        assert_each_byte_was_asked_for_once(upstream)

    @pytest.mark.parametrize("awaited", [True, False])
    def test_is_gone_on_with_as_its_dead_holder_left_it(
        self, tmp_path: Path, upstream: Upstream, digest: Digest, busy: Busiest, awaited: bool
    ) -> None:
        with segmented(tmp_path, upstream) as bench:
            fill = bench.fill(digest)
            fill.begin_ahead()
            fill.start(Epoch(1, 1), len(LAYER))
            Path(fill.spool(Epoch(1, 1))).write_bytes(LAYER[:1000])
            if awaited:
                fill.end_ahead()
            bench.handle(fetch(APP, digest), queue=Queue.PREFETCH)
            assert bench.data(digest) == LAYER
            assert bench.leftovers() == []
        assert (busy.most > 1) == awaited

    def test_is_awaited_when_the_next_holder_was_asked_by_a_client(
        self, tmp_path: Path, upstream: Upstream, digest: Digest
    ) -> None:
        hold = HoldBody(after=1000)
        upstream.fail("*/blobs/*", hold)
        with segmented(tmp_path, upstream) as bench, ThreadPoolExecutor(1) as pool:
            fill = bench.fill(digest)
            fill.begin_ahead()
            handled = pool.submit(bench.handle, fetch(APP, digest))
            assert hold.reached.wait(20)
            assert not fill.is_ahead()
            hold.release()
            handled.result(30)

    def test_leaves_nothing_when_it_is_not_to_be_had(
        self, tmp_path: Path, upstream: Upstream, digest: Digest
    ) -> None:
        upstream.fail("*/blobs/*", Status(404))
        with segmented(tmp_path, upstream) as bench:
            bench.handle(fetch(APP, digest), queue=Queue.PREFETCH)
            assert bench.leftovers() == []
            assert not bench.fill(digest).exists()


def test_without_memory_there_is_one_connection_at_a_time(
    upstream: Upstream, digest: Digest
) -> None:
    busy = Busiest(SLOW.bytes_per_second)
    upstream.fail("*/blobs/*", busy)
    client = opened_at(upstream, ahead=Ahead(0))
    assert received(client, digest) == LAYER
    client.close()
    # The next is asked for while the last bytes of the one before are on their way.
    assert busy.most <= 2
    assert_each_byte_was_asked_for_once(upstream)


def test_without_spare_connections_there_is_one(upstream: Upstream, digest: Digest) -> None:
    busy = Busiest(SLOW.bytes_per_second)
    upstream.fail("*/blobs/*", busy)
    client = opened_at(upstream, max_connections=1)
    assert received(client, digest) == LAYER
    client.close()
    assert busy.most == 1


@pytest.mark.usefixtures("judged_by_time")
def test_memory_is_given_back_also_by_a_stream_that_is_left(
    upstream: Upstream, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    ahead = Ahead(8 * SEGMENT)
    client = opened_at(upstream, ahead=ahead)
    assert received(client, digest) == LAYER
    assert ahead.left == 8 * SEGMENT
    with client.open_blob(APP, digest) as stream:
        chunks = stream.chunks()
        until(lambda: next(chunks) and ahead.left < 8 * SEGMENT, what="something ahead")
    assert ahead.left == 8 * SEGMENT
    until(lambda: client.condition.connections == 0, what="the threads' end")
    client.close()


WRONGS = {
    "the whole instead of a part": IgnoreRange(),
    "another range": WrongContentRange("bytes 0-9/10"),
    "no range told": Header("Content-Range", None),
    "another total": WrongContentRange(f"bytes {FIRST}-{FIRST + SEGMENT - 1}/{len(LAYER) + 1}"),
    "another ETag": Header("ETag", '"other"'),
    "an encoding": Header("Content-Encoding", "gzip"),
    "429": Status(429),
    "429 and when": Status(429, retry_after="1"),
    "416": Status(416),
    "403": Status(403),
    "500": Status(500),
    "a cut": Cut(100_000),
    "a reset": Cut(100_000, reset=True),
    "a hang-up at once": Cut(0),
    "a stall": Stall(100_000),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_part_that_goes_wrong_costs_nobody_the_blob(
    tmp_path: Path, upstream: Upstream, digest: Digest, wrong: str
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    # The parts that are asked for ahead, as long as there are any.
    fault = Once(FIRST, WRONGS[wrong])
    upstream.fail("*/blobs/*", fault)
    with segmented(tmp_path, upstream, read_timeout=2.0) as bench:
        assert bench.handle(fetch(APP, digest)).settled == ["ack"]
        assert bench.data(digest) == LAYER
        assert bench.leftovers() == []
    assert fault.struck


@pytest.mark.parametrize("wrong", ["403", "500", "another range", "a cut", "a hang-up at once"])
def test_a_part_asked_for_in_time_that_goes_wrong_costs_nobody_the_blob(
    upstream: Upstream, digest: Digest, wrong: str
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    fault = Once(FIRST, WRONGS[wrong])
    upstream.fail("*/blobs/*", fault)
    client = opened_at(upstream, ahead=Ahead(0))
    assert received(client, digest) == LAYER
    assert fault.struck
    until(lambda: client.condition.connections == 0, what="the threads' end")
    client.close()


@pytest.mark.usefixtures("judged_by_time")
def test_a_part_asked_for_in_time_is_let_go_by_a_stream_that_is_left(
    upstream: Upstream, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    client = opened_at(upstream, ahead=Ahead(0))
    with client.open_blob(APP, digest) as stream:
        chunks = stream.chunks()
        until(
            lambda: next(chunks) and client.condition.connections > 1, what="one asked for in time"
        )
    until(lambda: client.condition.connections == 0, what="all to be let go")
    client.close()


class Once(FromByte):
    """The fault once, at the first part that is asked for from there on."""

    def __init__(self, first: int, fault: Fault) -> None:
        super().__init__(first, fault)
        self.struck = False
        self._lock = threading.Lock()

    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        with self._lock:
            strikes = not self.struck and begins_at(headers) >= self._first
            self.struck = self.struck or strikes
        self._this.fault = self._fault if strikes else Fault()
        return self._applied.ask(headers)


TOLD_FIRST = {
    # What is sent is another part than is said.
    "another range": WrongContentRange(),
    # Believed, but no byte of it comes.
    "another total": Both(
        WrongContentRange(f"bytes 0-{FIRST - 1}/{len(LAYER) + 7}"), Cut(0, reset=True)
    ),
}


@pytest.mark.parametrize("told", TOLD_FIRST)
def test_a_first_answer_that_tells_a_wrong_size_costs_nobody_the_blob(
    tmp_path: Path, upstream: Upstream, digest: Digest, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int | None] = []
    start = Fill.start

    def noted(fill: Fill, epoch: Epoch, size: int | None) -> None:
        sizes.append(size)
        start(fill, epoch, size)

    monkeypatch.setattr(Fill, "start", noted)
    upstream.fail("*/blobs/*", TOLD_FIRST[told], times=1)
    with segmented(tmp_path, upstream) as bench:
        assert bench.handle(fetch(APP, digest)).settled == ["ack"]
        assert bench.data(digest) == LAYER
    assert sizes[-1] == len(LAYER)
    if told == "another range":
        assert sizes == [len(LAYER)]


def segmented(
    tmp_path: Path, upstream: Upstream, read_timeout: float = 20.0
) -> AbstractContextManager[Workbench]:
    return workbench(
        tmp_path / "storage",
        default=upstream.url,
        segments=4,
        segment_size=SEGMENT,
        read_timeout=read_timeout,
        attempts=5,
    )


@pytest.mark.parametrize(
    "wrong", ["the whole instead of a part", "another range", "no range told", "another ETag"]
)
def test_an_upstream_that_never_gives_parts_right_is_asked_for_the_whole(
    tmp_path: Path, upstream: Upstream, digest: Digest, wrong: str
) -> None:
    upstream.fail("*/blobs/*", FromByte(1, WRONGS[wrong]))
    with segmented(tmp_path, upstream) as bench:
        assert bench.handle(fetch(APP, digest)).settled == ["ack"]
        assert bench.data(digest) == LAYER


def test_an_upstream_without_ranges_is_asked_once(upstream: Upstream, digest: Digest) -> None:
    upstream.fail("*/blobs/*", IgnoreRange())
    client = opened_at(upstream)
    assert received(client, digest) == LAYER
    client.close()
    assert len(asked(upstream)) == 1


@pytest.mark.parametrize("status", [400, 416, 501])
def test_an_upstream_that_refuses_ranges_is_asked_without(
    upstream: Upstream, client: Client, digest: Digest, status: int
) -> None:
    upstream.fail("*/blobs/*", Status(status), times=1)
    assert received(client, digest) == LAYER
    assert asked(upstream)[-1] == ""


def test_after_trouble_the_upstream_is_left_at_one_connection(
    upstream: Upstream, client: Client, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    upstream.fail("*/blobs/*", Once(FIRST, Status(500)))
    # What is missing comes by one connection, so the stream itself need not fail.
    assert received(client, digest) == LAYER
    upstream.forget()
    assert received(client, digest) == LAYER
    assert asked(upstream) == [""]


def test_the_end_of_a_blob_that_is_refused_for_good_is_an_error(
    upstream: Upstream, client: Client, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    upstream.fail("*/blobs/*", FromByte(FIRST, Status(403)))
    with pytest.raises(UpstreamError) as caught:
        received(client, digest)
    assert caught.value.status == 403


class GoneAfterOneLook:
    """An address that another thread has found expired by the second look at it."""

    def __get__(self, stream: BlobStream, _: type[BlobStream]) -> str:
        return str(vars(stream).pop("address", ""))

    def __set__(self, stream: BlobStream, address: str) -> None:
        vars(stream)["address"] = address


class TestStorageBehindARedirect:
    @pytest.fixture
    def storage(self, upstream: Upstream) -> Iterator[Upstream]:
        with Upstream(content=upstream.content) as behind:
            behind.fail("*/blobs/*", SLOW)
            upstream.blobs_at = behind.url
            yield behind

    def test_is_asked_for_further_parts_without_the_registry(
        self, upstream: Upstream, storage: Upstream, client: Client, digest: Digest
    ) -> None:
        assert received(client, digest) == LAYER
        assert len(asked(upstream)) == 1
        assert_each_byte_was_asked_for_once(storage)
        assert {exchange.query for exchange in storage.seen("*/blobs/*")} == {"signature=secret"}

    def test_whose_address_has_expired_is_asked_for_anew(
        self, upstream: Upstream, storage: Upstream, client: Client, digest: Digest
    ) -> None:
        storage.fail("*/blobs/*", Once(FIRST, Status(403)))
        assert received(client, digest) == LAYER
        # Again by each of those that were under way.
        assert 2 <= len(asked(upstream)) <= 4

    def test_whose_address_another_part_finds_expired_is_no_trouble(
        self,
        upstream: Upstream,
        storage: Upstream,
        client: Client,
        digest: Digest,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(BlobStream, "_storage", GoneAfterOneLook(), raising=False)
        assert received(client, digest) == LAYER
        upstream.forget()
        assert received(client, digest) == LAYER
        assert asked(upstream)[0] == f"bytes=0-{FIRST - 1}"

    @pytest.mark.usefixtures("judged_by_time")
    def test_is_not_told_the_account(
        self, upstream: Upstream, storage: Upstream, digest: Digest
    ) -> None:
        upstream.require_basic("mary", "secret")
        client = Client(
            UpstreamSettings(
                name="hub",
                remoteurl=upstream.url,
                username="mary",
                password="secret",
                segments=4,
                segment_size=SEGMENT,
            )
        )
        assert received(client, digest) == LAYER
        client.close()
        assert len(storage.seen("*/blobs/*")) > 2
        assert all("authorization" not in seen.headers for seen in storage.seen())


def test_a_successor_asks_for_what_the_spool_does_not_have(
    tmp_path: Path, upstream: Upstream, digest: Digest
) -> None:
    upstream.fail("*/blobs/*", SLOW)
    with segmented(tmp_path, upstream) as bench:
        os.makedirs(bench.fill(digest).folder)
        Path(bench.fill(digest).spool(Epoch(1, 1))).write_bytes(LAYER[:1_000_000])
        assert bench.handle(fetch(APP, digest)).settled == ["ack"]
        assert bench.data(digest) == LAYER
    assert starts(upstream.seen("*/blobs/*", "GET"))[0] == 1_000_000
    assert_each_byte_was_asked_for_once(upstream, 1_000_000)


def test_a_machine_without_a_thread_to_spare_still_gets_the_blob(
    tmp_path: Path, upstream: Upstream, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    start = threading.Thread.start

    def some(thread: threading.Thread) -> None:
        if thread.name == "segment":
            refused.append(thread.name)
            raise RuntimeError
        start(thread)

    upstream.fail("*/blobs/*", SLOW)
    with segmented(tmp_path, upstream) as bench:
        monkeypatch.setattr(threading.Thread, "start", some)
        assert bench.handle(fetch(APP, digest)).settled == ["ack"]
        assert bench.data(digest) == LAYER
    assert refused
