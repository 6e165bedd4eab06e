"""Brokers that balk, queues that vanish, processes that sleep, clocks that jump."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from common.digest import Digest
from common.owner import decode_owner
from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.parts.folders import names_below
from tests.parts.rabbit import Rabbit
from tests.system.cluster import ROLES, Cluster, Got, cluster
from tests.waiting import until

MEGABYTE = 1_000_000
APP = "library/app"
HOUR = 3600

# Before anything of ours is imported: a clock that the test sets, for all who ask the time.
CLOCK = """\
import os
import time

real, real_ns = time.time, time.time_ns


def offset():
    with open(os.environ["ENTREPOT_TEST_CLOCK"]) as file:
        return int(file.read())


time.time = lambda: real() + offset()
time.time_ns = lambda: real_ns() + offset() * 10**9
"""


def blob_of(upstream: Upstream, size: int) -> Digest:
    return upstream.add_blob(APP, random.randbytes(size))


def assert_right(got: Got, digest: Digest) -> None:
    assert (got.status, got.digest, got.cut) == (200, digest, False), got


def test_a_broker_out_of_memory_stops_misses_alone_until_it_has_some_again(
    tmp_path: Path, upstream: Upstream, rabbit: Rabbit, amqp_url: str
) -> None:
    here, missing = blob_of(upstream, MEGABYTE), blob_of(upstream, MEGABYTE)
    patience = {"patience": "3s", "workers": 2}
    with cluster(tmp_path / "cache", upstream.url, amqp_url, frontend=patience) as cache:
        assert_right(cache.blob(APP, here), here)
        rabbit.raise_alarm()
        try:
            for _ in range(2):
                assert_right(cache.blob(APP, here), here)
                missed = cache.blob(APP, missing)
                assert (missed.status, b"UNAVAILABLE" in missed.body) == (503, True)
                assert int(missed.headers["retry-after"]) >= 1
        finally:
            rabbit.clear_alarm()
        until(lambda: cache.blob(APP, missing).digest == missing, 60, cache.logs())


def test_deleted_queues_are_there_again_and_nobody_is_turned_away(
    tmp_path: Path, upstream: Upstream, rabbit: Rabbit, amqp_url: str
) -> None:
    here, missing = blob_of(upstream, MEGABYTE), blob_of(upstream, MEGABYTE)
    vhost = quote(urlsplit(amqp_url).path[1:], safe="")
    with cluster(tmp_path / "cache", upstream.url, amqp_url) as cache:
        assert_right(cache.blob(APP, here), here)
        queues = rabbit.management.call("GET", f"queues/{vhost}")
        durable = [queue["name"] for queue in queues if queue["durable"]]
        assert len(durable) > 3
        for name in durable:
            rabbit.management.call("DELETE", f"queues/{vhost}/{quote(name, safe='')}")
        assert_right(cache.blob(APP, here), here)
        assert_right(cache.blob(APP, missing), missing)


def remove(file: Path) -> None:
    file.unlink()


def corrupt(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1000)


def cut_short(file: Path) -> None:
    os.truncate(file, 5000)


@pytest.mark.parametrize("damage", [remove, corrupt, cut_short])
def test_a_queue_file_lost_while_running_costs_nothing_that_is_cached(
    tmp_path: Path, upstream: Upstream, damage: Callable[[Path], None]
) -> None:
    here, missing = blob_of(upstream, MEGABYTE), blob_of(upstream, MEGABYTE)
    with cluster(tmp_path / "cache", upstream.url) as cache:
        assert_right(cache.blob(APP, here), here)
        damage(Path(cache.layout.own, "queue", "queue.sqlite"))
        assert_right(cache.blob(APP, here), here)
        assert_right(cache.blob(APP, missing), missing)
        assert upstream.sent(f"*/blobs/{here}") == MEGABYTE


def test_a_queue_file_lost_in_mid_download_costs_nobody_their_pull(
    tmp_path: Path, upstream: Upstream
) -> None:
    digest = blob_of(upstream, 8 * MEGABYTE)
    upstream.fail("*/blobs/*", Throttle(4 * MEGABYTE))
    with (
        cluster(tmp_path / "cache", upstream.url) as cache,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(cache.blob, APP, digest)
        until(lambda: upstream.sent(f"*/blobs/{digest}") > MEGABYTE, 20, "a megabyte")
        corrupt(Path(cache.layout.own, "queue", "queue.sqlite"))
        assert_right(answer.result(60), digest)
        assert upstream.sent(f"*/blobs/{digest}") == 8 * MEGABYTE


def test_a_fetcher_that_sleeps_past_its_lease_is_succeeded_and_does_no_harm_when_it_wakes(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    size = 20 * MEGABYTE
    digest = blob_of(upstream, size)
    upstream.fail("*/blobs/*", Throttle(5 * MEGABYTE))
    # Parts so small that those under way are few bytes.
    settings = {"lease": "2s", "readtimeout": "60s", "segmentsize": 1 << 19}
    with cluster(tmp_path / "cache", upstream.url, queue_url, fetcher=settings) as cache:
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(cache.blob, APP, digest) for _ in range(4)]
            sleeper = cache.holder(digest)
            until(lambda: upstream.sent(f"*/blobs/{digest}") > 4 * MEGABYTE, 20, "4 MB")
            os.kill(sleeper.pid, signal.SIGSTOP)
            until(lambda: not holds(cache, digest, sleeper.pid), 40, "a successor")
            os.kill(sleeper.pid, signal.SIGCONT)
            for answer in answers:
                assert_right(answer.result(60), digest)
        # What came to the sleeper before it looked at its claim again is sent twice at most.
        assert upstream.sent(f"*/blobs/{digest}") < 1.5 * size
        assert_right(cache.blob(APP, digest), digest)
        until(lambda: not spools(cache), 20, "the sleeper's spool to go")
        assert sleeper.exit_code is None


def spools(cache: Cluster) -> list[str]:
    return [name for name in names_below(cache.layout.fills) if name.startswith("spool.")]


def holds(cache: Cluster, digest: Digest, pid: int) -> bool:
    """Whether a process has the claim of a fill; not once it has been succeeded, however briefly."""
    for claim in Path(cache.layout.fill(digest)).glob("claim.*"):
        with suppress(FileNotFoundError):
            owner = decode_owner(claim.read_bytes())
            if owner is not None and owner.pid == pid:
                return True
    return False


@contextmanager
def timed(
    folder: Path, upstream: Upstream, queue_url: str | None
) -> Iterator[tuple[Cluster, Path]]:
    """A cluster, and the file with the seconds by which all its clocks are wrong."""
    clock = folder / "clock"
    clock.write_text("0")
    (folder / "sitecustomize.py").write_text(CLOCK)
    cache = Cluster(folder / "cache", upstream.url, queue_url, fetcher={"lease": "15s"})
    cache.env = {"PYTHONPATH": str(folder), "ENTREPOT_TEST_CLOCK": str(clock)}
    cache.start(*ROLES)
    try:
        yield cache, clock
    finally:
        cache.stop()


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_costs_nobody_their_pull(
    tmp_path: Path, upstream: Upstream, queue_url: str | None, step: int
) -> None:
    running, after = blob_of(upstream, 8 * MEGABYTE), blob_of(upstream, MEGABYTE)
    upstream.fail(f"*/blobs/{running}", Throttle(4 * MEGABYTE))
    with timed(tmp_path, upstream, queue_url) as (cache, clock), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cache.blob, APP, running)
        until(lambda: upstream.sent(f"*/blobs/{running}") > MEGABYTE, 20, "a megabyte")
        whole = tmp_path / "clock.new"
        whole.write_text(str(step))
        whole.rename(clock)
        assert_right(cache.blob(APP, after), after)
        assert_right(answer.result(60), running)
        # Claims go by the storage's clock, which did not jump: nobody took over.
        assert upstream.sent(f"*/blobs/{running}") == 8 * MEGABYTE
