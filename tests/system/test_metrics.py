"""What /metrics says, of pulls that were really made: under `serve`, with both queues, and by role."""

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.digest import Digest
from common.mediatypes import OCI_MANIFEST
from common.metrics.catalogue import REGISTRY
from tests.parts.counting import Upstream
from tests.parts.faults import Corrupt, Header, HoldBody, Status
from tests.parts.process import Process, free_port
from tests.system.cluster import Cluster
from tests.waiting import until

SIZE = 300_000


class Scraped(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """Samples by name and labels."""

    def of(self, name: str, **labels: str) -> float:
        """The sum over the samples that have these labels, perhaps among others."""
        wanted = labels.items()
        return sum(value for (known, has), value in self.items() if known == name and wanted <= has)

    def has(self, name: str, **labels: str) -> bool:
        """Whether there is such a sample."""
        wanted = labels.items()
        return any(known == name and wanted <= has for known, has in self)


class Machine(Cluster):
    """`entrepot serve`, and its metrics."""

    def __init__(self, folder: Path, remote: str, queue_url: str | None, **sections: Any) -> None:
        self.debug = free_port()
        debug = {"addr": f"127.0.0.1:{self.debug}", "prometheus": {"enabled": True}}
        super().__init__(folder, remote, queue_url, http={"debug": debug}, **sections)
        self.log = folder / "serve.log"

    def serve(self, role: str = "serve") -> Process:
        """Started, and scraped once."""
        process = Process([".venv/bin/entrepot", role, str(self.file)], log=self.log)
        until(self._is_up, 40, f"metrics; {self.log.read_text()}")
        return process

    def _is_up(self) -> bool:
        try:
            return bool(self.scrape())
        except OSError:
            return False

    def scrape(self) -> Scraped:
        """What is told now; that it is well-formed is a part of every test."""
        address = f"http://127.0.0.1:{self.debug}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            text = answer.read().decode()
        return Scraped(
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )

    def rises(self, name: str, to: float = 1, **labels: str) -> None:
        """Wait until a metric is at least `to`: other processes publish within a second."""
        until(lambda: self.scrape().of(name, **labels) >= to, 40, f"{name} {labels} to reach {to}")

    def tells(self, name: str, **labels: str) -> None:
        """Wait until there is such a metric, which may well be 0."""
        until(lambda: self.scrape().has(name, **labels), 40, f"{name} {labels}")


@contextmanager
def _serving(
    folder: Path, upstream: Upstream, queue_url: str | None, **sections: Any
) -> Iterator[Machine]:
    machine = Machine(folder, upstream.url, queue_url, **sections)
    process = machine.serve()
    try:
        until(lambda: machine.answers("/v2/"), 20, "the frontend")
        yield machine
    finally:
        code = process.terminate(30)
    assert code == 0, machine.log.read_text()


def _blob(upstream: Upstream, fill: bytes) -> Digest:
    return upstream.add_blob("library/app", fill * (SIZE // len(fill)))


def test_pulls_move_what_they_should(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    digest = _blob(upstream, b"x")
    manifest = upstream.add_manifest("library/app", "1", b'{"schemaVersion": 2}', OCI_MANIFEST)
    for header, left in (("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "76;w=21600")):
        upstream.fail("*/manifests/*", Header(header, left), methods=("GET", "HEAD"))
    with _serving(tmp_path, upstream, queue_url) as machine:
        # Of clients that come too soon some join, and some are served by then: both are told.
        assert all(got.status == 200 for got in machine.crowd(4, "library/app", digest))
        assert machine.get("/v2/library/app/manifests/1").status == 200
        machine.until_committed(digest)
        for _ in range(3):
            assert machine.blob("library/app", digest).size == SIZE
        assert machine.get(f"/v2/library/app/manifests/{manifest}").status == 200
        assert machine.get(f"/v2/library/app/blobs/{Digest.of(b'nowhere')}").status == 404
        asked = {"upstream": "default", "type": "blob"}
        machine.rises("entrepot_hits_total", 3, **asked)
        machine.rises("entrepot_hits_total", upstream="default", type="manifest")
        machine.rises("entrepot_misses_total", 2, **asked)
        machine.rises("entrepot_misses_total", upstream="default", type="manifest")
        machine.rises("entrepot_sent_bytes_total", 7 * SIZE, type="blob")
        machine.rises("entrepot_sent_bytes_total", type="manifest")
        machine.rises("entrepot_errors_total", status="404", code="BLOB_UNKNOWN")
        machine.rises("entrepot_received_bytes_total", SIZE, **asked)
        machine.rises("entrepot_received_bytes_total", upstream="default", type="manifest")
        machine.rises("entrepot_fill_seconds_count", upstream="default")
        machine.rises("entrepot_fill_failures_total", upstream="default", cause="absent")
        machine.rises("entrepot_upstream_requests_total", upstream="default", answer="2xx")
        machine.rises("entrepot_upstream_requests_total", upstream="default", answer="4xx")
        machine.rises("entrepot_upstream_request_seconds_count", 3, upstream="default")
        machine.rises("entrepot_upstream_ratelimit", 100, upstream="default")
        machine.rises("entrepot_upstream_ratelimit_remaining", 76, upstream="default")
        machine.rises("entrepot_jobs_total", job="FetchBlob", outcome="done")
        machine.rises("entrepot_jobs_total", job="FetchBlob", outcome="failed")
        machine.rises("entrepot_claims_total", outcome="taken")
        machine.rises("entrepot_cache_bytes", SIZE, upstream="default")
        machine.rises("entrepot_cache_blobs", 2, upstream="default")
        for role in ("frontend", "fetcher", "janitor"):
            machine.rises("entrepot_processes", role=role)
            machine.rises("entrepot_process_cpu_seconds_total", 0.1, role=role)
            machine.rises("entrepot_process_resident_memory_bytes", 1e6, role=role)
            machine.rises("entrepot_queue_connected", role=role)
        said = machine.scrape()
        answered = sum(
            said.of(f"entrepot_{how}_total", **asked) for how in ("hits", "misses", "joins")
        )
        assert answered == 8
        assert said.of("registry_proxy_requests_total", type="blob") == 8
        assert said.of("registry_proxy_hits_total", type="blob") == said.of(
            "entrepot_hits_total", **asked
        )
        assert said.of("registry_proxy_pulled_bytes_total", type="blob") == SIZE
        assert said.of("registry_proxy_pushed_bytes_total", type="blob") == 7 * SIZE
        until(lambda: machine.scrape().of("entrepot_open_streams") == 0, 20)
        until(lambda: machine.scrape().of("entrepot_waiters") == 0, 20)
        # A queue is asked every five seconds, and may not have been there at the first time.
        for queue in ("interactive", "prefetch", "expiry"):
            machine.tells("entrepot_queue_depth", queue=queue)
        for name in (
            "filesystem_free_bytes",
            "filesystem_bytes",
            "cache_counted_timestamp_seconds",
        ):
            machine.rises(f"entrepot_{name}")
        machine.tells("entrepot_loop_lag_seconds")
        machine.tells("entrepot_build_info")
        _assert_bounded(machine.scrape(), str(digest), "library")


def _assert_bounded(said: Scraped, *secrets: str) -> None:
    for name, labels in said:
        known = REGISTRY.metrics.get(name) or REGISTRY.metrics[name.rpartition("_")[0]]
        assert {label for label, _ in labels} - {"le"} == set(known.definition.labels)
        assert not any(secret in value for _, value in labels for secret in secrets), name


def test_an_upstream_that_fails_is_told_of(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    upstream.add_manifest("library/app", "1", b'{"schemaVersion": 2}', OCI_MANIFEST)
    digest = _blob(upstream, b"y")
    proxy = {"tagttl": "1s"}
    with _serving(tmp_path, upstream, queue_url, proxy={"remoteurl": upstream.url, **proxy}) as on:
        assert on.get("/v2/library/app/manifests/1").status == 200
        upstream.fail("*/blobs/*", Corrupt(at=100), times=1)
        until(lambda: on.blob("library/app", digest).digest == digest, 30, "the right bytes")
        on.rises("entrepot_fill_failures_total", upstream="default", cause="wrong")
        on.rises("entrepot_upstream_retries_total")
        upstream.fail("*", Status(503), methods=("GET", "HEAD"))
        until(lambda: "warning" in on.get("/v2/library/app/manifests/1").headers, 30, "a stale tag")
        on.rises("entrepot_stale_answers_total", upstream="default")
        on.rises("entrepot_upstream_requests_total", upstream="default", answer="5xx")
        on.rises("entrepot_fill_failures_total", upstream="default", cause="unreachable")


def test_what_waits_and_streams_is_told_while_it_does(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    digest = _blob(upstream, b"z")
    held = HoldBody(after=1000)
    upstream.fail("*/blobs/*", held)
    with _serving(tmp_path, upstream, queue_url) as machine:
        address = f"http://{machine.host}/v2/library/app/blobs/{digest}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            machine.rises("entrepot_open_streams")
            machine.rises("entrepot_fills_running", upstream="default")
            machine.rises("entrepot_claims_held")
            held.release()
            assert len(answer.read()) == SIZE
        until(lambda: machine.scrape().of("entrepot_open_streams") == 0, 20)
        until(lambda: machine.scrape().of("entrepot_fills_running") == 0, 20)


def test_what_goes_is_told_by_why_it_went(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    upstream.add_manifest("library/app", "1", b'{"schemaVersion": 2}', OCI_MANIFEST)
    proxy = {"remoteurl": upstream.url, "ttl": "2s"}
    with _serving(tmp_path / "a", upstream, queue_url, proxy=proxy) as expiring:
        assert expiring.blob("library/app", _blob(upstream, b"e")).status == 200
        assert expiring.get("/v2/library/app/manifests/1").status == 200
        for kind in ("layer", "manifest", "tag"):
            expiring.rises("entrepot_expirations_total", kind=kind)
    janitor = {"maxsize": "1MB", "sweepinterval": "1h"}
    with _serving(tmp_path / "b", upstream, None, janitor=janitor) as crowded:
        for fill in (b"1", b"2", b"3", b"4", b"5"):
            assert crowded.blob("library/app", _blob(upstream, fill)).status == 200
        crowded.rises("entrepot_evictions_total", kind="layer")
        crowded.rises("entrepot_evicted_bytes_total", SIZE)
        crowded.rises("entrepot_storage_limit_bytes", 1_000_000)
        crowded.rises("entrepot_storage_bytes", SIZE, part="blobs")
        crowded.rises("entrepot_sweep_timestamp_seconds")


def test_totals_survive_workers_that_are_killed(tmp_path: Path, upstream: Upstream) -> None:
    digest = _blob(upstream, b"w")
    with _serving(tmp_path, upstream, None, frontend={"workers": 2}) as machine:
        assert machine.blob("library/app", digest).size == SIZE
        machine.until_committed(digest)
        hits = 0.0
        for _ in range(3):
            for _ in range(5):
                assert machine.blob("library/app", digest).size == SIZE
            machine.rises("entrepot_hits_total", hits + 5, type="blob")
            hits = machine.scrape().of("entrepot_hits_total", type="blob")
            for pid in _workers():
                os.kill(pid, signal.SIGKILL)
            until(lambda: machine.answers("/v2/"), 20, "new workers")
            assert _later(machine).of("entrepot_hits_total", type="blob") >= hits
        assert hits == 15


def _workers() -> list[int]:
    """The frontend workers below this test: those whose parent is a frontend as well."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                title = Path(f"/proc/{entry}/cmdline").read_bytes()
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            found[int(entry)] = (title, parent)
    mine = {os.getpid()}
    while grown := {pid for pid, (_, parent) in found.items() if parent in mine} - mine:
        mine |= grown
    return [
        pid
        for pid in mine
        if found[pid][0].startswith(b"entrepot: frontend")
        and found[found[pid][1]][0].startswith(b"entrepot: frontend")
    ]


def _later(machine: Machine) -> Scraped:
    said: list[Scraped] = []

    def asked() -> bool:
        try:
            said.append(machine.scrape())
        except OSError:  # it went to a worker that was just killed
            return False
        return True

    until(asked, 20, "a scrape")
    return said[-1]


@pytest.mark.parametrize("role", ["frontend", "fetcher", "janitor"])
def test_a_role_by_itself_answers_for_itself(tmp_path: Path, upstream: Upstream, role: str) -> None:
    machine = Machine(tmp_path, upstream.url, None)
    process = machine.serve(role)
    try:
        machine.rises("entrepot_processes", role=role)
        roles = {
            dict(labels)["role"]
            for name, labels in machine.scrape()
            if name == "entrepot_processes"
        }
        assert roles == {role}
    finally:
        assert process.terminate(20) == 0, machine.log.read_text()


def test_a_path_of_ones_own_and_none_where_none_is_wanted(
    tmp_path: Path, upstream: Upstream
) -> None:
    machine = Machine(tmp_path, upstream.url, None)
    written = machine.file.read_text()
    machine.file.write_text(written.replace('"enabled": true', '"enabled": false'))
    log = tmp_path / "off.log"
    process = Process([".venv/bin/entrepot", "janitor", str(machine.file)], log=log)
    try:
        address = f"http://127.0.0.1:{machine.debug}"
        until(lambda: _status(f"{address}/debug/live") == 200, 30, "the debug server")
        assert _status(f"{address}/metrics") == 404
    finally:
        assert process.terminate(20) == 0, log.read_text()


def _status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:
        return 0
