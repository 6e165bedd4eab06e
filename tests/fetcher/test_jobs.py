"""What jobs ask of an upstream, and what they do not; counted by the upstream."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import (
    CheckBlob,
    FetchBlob,
    FetchManifest,
    FillCommitted,
    FillFailed,
    Job,
    Kind,
    ListTags,
    Prefetch,
    Queue,
    ResolveTag,
)
from common.reference import RepositoryName, Tag
from common.rules import Rules
from common.source import Source
from fetcher.breaker import Breaker
from fetcher.urgency import is_urgent
from tests.fetcher.workbench import Workbench, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import Status

APP = RepositoryName("team/app")
SOURCE = Source("", APP)
LATEST = Tag("latest")
RESOLVE = ResolveTag(source=SOURCE, tag=LATEST)
ASKING = ("GET", "HEAD")
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Iterator[Workbench]:
    with workbench(tmp_path, default=upstream.url) as ready:
        yield ready


def jobs_about(source: Source, digest: Digest) -> list[Job]:
    return [
        FetchBlob(source=source, digest=digest),
        CheckBlob(source=source, digest=digest),
        FetchManifest(source=source, digest=digest),
        ResolveTag(source=source, tag=LATEST),
        ListTags(source=source),
    ]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_jobs_in_any_order_come_to_the_same(
    bench: Workbench, upstream: Upstream, order: tuple[int, ...]
) -> None:
    layer = upstream.add_blob(APP, b"layer")
    listed = {"digest": layer, "size": 5, "mediaType": "any"}
    image = {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "layers": [listed]}
    manifest = upstream.add_manifest(APP, LATEST, json.dumps(image).encode(), MEDIA_TYPE)
    jobs: list[tuple[Job, Queue]] = [
        (RESOLVE, Queue.INTERACTIVE),
        (Prefetch(source=SOURCE, digest=manifest), Queue.PREFETCH),
        (FetchBlob(source=SOURCE, digest=layer), Queue.PREFETCH),
        (FetchBlob(source=SOURCE, digest=layer), Queue.INTERACTIVE),
    ]

    for number in order:
        job, queue = jobs[number]
        assert bench.handle(job, queue=queue).settled == ["ack"]

    stored = bench.storage.tags.read(APP, LATEST)
    assert stored is not None
    assert stored.digest == manifest
    assert bench.storage.has(Kind.MANIFEST, APP, manifest)
    assert bench.storage.has(Kind.LAYER, APP, layer)
    assert bench.recorder.of(FillFailed) == []
    assert bench.leftovers() == []
    assert upstream.sent(f"*/blobs/{layer}") == 5


def test_what_is_not_there_is_asked_for_once_in_some_seconds(
    bench: Workbench, upstream: Upstream
) -> None:
    for job in jobs_about(SOURCE, Digest.of(b"nothing")):
        upstream.forget()
        bench.recorder.events.clear()
        for _ in range(3):
            bench.handle(job)
        first, *others = bench.recorder.of(FillFailed)
        assert (first.status, first.retryable) == (404, False)
        assert others == [first, first]
        assert len(upstream.seen()) == 1


def test_gone_is_as_not_there(bench: Workbench, upstream: Upstream) -> None:
    upstream.fail("*", Status(410), methods=ASKING)
    for _ in range(2):
        bench.handle(RESOLVE)
    assert [failed.status for failed in bench.recorder.of(FillFailed)] == [404, 404]
    assert len(upstream.seen()) == 1


def test_a_tag_that_has_not_moved_costs_one_head(bench: Workbench, upstream: Upstream) -> None:
    upstream.add_manifest(APP, LATEST, MANIFEST, MEDIA_TYPE)
    bench.handle(RESOLVE)
    assert [seen.method for seen in upstream.seen()] == ["HEAD", "GET"]
    upstream.forget()
    bench.handle(RESOLVE)
    assert [seen.method for seen in upstream.seen()] == ["HEAD"]


def test_a_tag_that_has_moved_is_fetched_by_digest(bench: Workbench, upstream: Upstream) -> None:
    upstream.add_manifest(APP, LATEST, MANIFEST, MEDIA_TYPE)
    bench.handle(RESOLVE)
    upstream.forget()
    moved = upstream.add_manifest(APP, LATEST, MANIFEST + b"\n", MEDIA_TYPE)
    bench.handle(RESOLVE)
    asked = [(seen.method, seen.path.rpartition("/")[2]) for seen in upstream.seen()]
    assert asked == [("HEAD", "latest"), ("GET", moved)]


def test_while_the_breaker_is_open_jobs_fail_at_once_and_nothing_is_asked(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetcher.breaker.FIRST", 60.0)
    monkeypatch.setattr("fetcher.manners.Breaker", partial(Breaker, seconds=0.0))
    upstream.add_manifest(APP, LATEST, MANIFEST, MEDIA_TYPE)
    with workbench(tmp_path, attempts=1, default=upstream.url) as bench:
        bench.handle(RESOLVE)
        upstream.fail("*", Status(502), methods=ASKING)
        for _ in range(5):
            bench.handle(RESOLVE)
        upstream.forget()
        bench.recorder.events.clear()
        for job in jobs_about(SOURCE, Digest.of(b"other")):
            bench.handle(job)
        failures = bench.recorder.of(FillFailed)
        assert [(told.status, told.code) for told in failures] == [(503, "UNAVAILABLE")] * 5
        assert all(told.retryable and told.retry_after for told in failures)
        assert upstream.seen() == []


def test_an_upstream_that_answers_again_is_asked_again(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetcher.manners.Breaker", partial(Breaker, seconds=0.0))
    upstream.add_manifest(APP, LATEST, MANIFEST, MEDIA_TYPE)
    upstream.fail("*", Status(502), times=5, methods=ASKING)
    with workbench(tmp_path, attempts=6, default=upstream.url) as bench:
        # One job's own tries open it; it waits for the second that it is open, and is the probe.
        bench.handle(RESOLVE)
        assert bench.recorder.of(FillCommitted)


def test_while_it_wants_a_rest_jobs_fail_at_once(bench: Workbench, upstream: Upstream) -> None:
    upstream.fail("*", Status(429, retry_after="60"), methods=ASKING)
    for job in jobs_about(SOURCE, Digest.of(b"x")):
        bench.handle(job)
    failures = bench.recorder.of(FillFailed)
    assert [(told.status, told.code) for told in failures] == [(503, "TOOMANYREQUESTS")] * 5
    assert all(50 < (told.retry_after or 0) <= 60 for told in failures)
    assert len(upstream.seen()) == 1


def test_a_prefetch_is_not_put_off_until_the_rest_is_over(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.fail("*", Status(429, retry_after="600"), methods=ASKING)
    assert bench.handle(RESOLVE, queue=Queue.PREFETCH).settled == ["ack"]


@pytest.mark.parametrize("queue", [Queue.INTERACTIVE, Queue.PREFETCH])
def test_a_job_knows_whether_somebody_waits_for_it(
    bench: Workbench, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(bench.jobs, "do", lambda *_: seen.append(is_urgent()))
    bench.handle(RESOLVE, queue=queue)
    assert seen == [queue is Queue.INTERACTIVE]


def test_what_is_not_allowed_is_refused_though_it_is_in_the_queue(
    tmp_path: Path, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, b"layer")
    with workbench(tmp_path, rules=Rules(deny=("team/*",)), default=upstream.url) as bench:
        for job in jobs_about(SOURCE, digest):
            bench.handle(job)
        failures = bench.recorder.of(FillFailed)
        assert [(told.status, told.code) for told in failures] == [(403, "DENIED")] * 5
        assert upstream.seen() == []
        other = Source("", RepositoryName("other/app"))
        bench.handle(FetchBlob(source=other, digest=upstream.add_blob("other/app", b"layer")))
        assert bench.data(digest) == b"layer"


def test_the_default_upstream_is_not_asked_for_what_is_stored_as_anothers(
    tmp_path: Path, upstream: Upstream
) -> None:
    repository = RepositoryName("ghcr/org/app")
    digest = upstream.add_blob(repository, b"layer")
    with workbench(tmp_path, default=upstream.url, ghcr="http://127.0.0.1:1") as bench:
        for job in jobs_about(Source("", repository), digest):
            bench.handle(job)
        assert {told.status for told in bench.recorder.of(FillFailed)} == {404}
        assert upstream.seen() == []
