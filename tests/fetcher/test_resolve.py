"""FetchManifest and ResolveTag."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.mediatypes import SCHEMA_1
from common.messages import (
    ExpireLink,
    ExpireTag,
    FetchManifest,
    FillCommitted,
    Kind,
    Queue,
    ResolveTag,
)
from common.reference import RepositoryName, Tag
from common.source import Source
from tests.fetcher.succession import Meanwhile, take_over
from tests.fetcher.workbench import LIFETIME, Workbench, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import Corrupt, Header, Status

APP = RepositoryName("team/app")
SOURCE = Source("", APP)
LATEST = Tag("latest")
RESOLVE = ResolveTag(source=SOURCE, tag=LATEST)
ASKING = ("GET", "HEAD")
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Iterator[Workbench]:
    with workbench(tmp_path, default=upstream.url) as ready:
        yield ready


def manifest(number: int) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE, "n": number}).encode()


def push(upstream: Upstream, number: int) -> Digest:
    """Have LATEST at the upstream point to this manifest."""
    return upstream.add_manifest(APP, LATEST, manifest(number), MEDIA_TYPE)


def pointed(bench: Workbench) -> Digest | None:
    stored = bench.storage.tags.read(APP, LATEST)
    return stored.digest if stored else None


def test_a_manifest_is_stored_and_linked_by_digest(bench: Workbench, upstream: Upstream) -> None:
    digest = push(upstream, 1)
    job = FetchManifest(source=SOURCE, digest=digest)

    assert bench.handle(job).settled == ["ack"]

    assert bench.data(digest) == manifest(1)
    assert bench.storage.has(Kind.MANIFEST, APP, digest)
    assert bench.recorder.events == [FillCommitted(key=job.key)]
    expiry = ExpireLink(source=SOURCE, digest=digest, kind=Kind.MANIFEST)
    assert bench.recorder.published == [(Queue.EXPIRY, expiry, LIFETIME)]
    assert bench.leftovers() == []


def test_a_manifest_that_is_here_is_not_asked_for(bench: Workbench, upstream: Upstream) -> None:
    digest = push(upstream, 1)
    bench.handle(FetchManifest(source=SOURCE, digest=digest))
    asked = len(upstream.seen())

    bench.handle(FetchManifest(source=SOURCE, digest=digest))

    assert len(upstream.seen()) == asked
    assert len(bench.recorder.of(FillCommitted)) == 2


def test_a_manifest_of_another_repository_is_asked_for_though_it_is_here(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = push(upstream, 1)
    bench.handle(FetchManifest(source=SOURCE, digest=digest))
    other = Source("", RepositoryName("team/other"))
    upstream.add_blob(other.repository, b"the repository exists")

    event = bench.failure(FetchManifest(source=other, digest=digest))

    assert (event.status, event.code) == (404, "MANIFEST_UNKNOWN")
    assert not bench.storage.links.has(Kind.MANIFEST, other.stored, digest)


def test_bytes_that_are_not_the_manifest_are_not_stored(tmp_path: Path, upstream: Upstream) -> None:
    digest = push(upstream, 1)
    upstream.fail("*", Corrupt(3))
    with workbench(tmp_path, attempts=2, default=upstream.url) as bench:
        event = bench.failure(FetchManifest(source=SOURCE, digest=digest))

        assert (event.status, event.retryable) == (502, True)
        assert bench.data(digest) is None
        assert bench.leftovers() == []


def test_a_tag_is_resolved_by_head_and_its_manifest_got_by_digest(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = push(upstream, 1)

    bench.handle(RESOLVE)

    assert pointed(bench) == digest
    assert bench.storage.has(Kind.MANIFEST, APP, digest)
    assert [(exchange.method, exchange.path) for exchange in upstream.seen()] == [
        ("HEAD", f"/v2/{APP}/manifests/{LATEST}"),
        ("GET", f"/v2/{APP}/manifests/{digest}"),
    ]
    assert bench.recorder.events == [FillCommitted(key=RESOLVE.key)]
    expiries = [message for _, message, _ in bench.recorder.published]
    assert ExpireTag(source=SOURCE, tag=LATEST) in expiries
    assert ExpireLink(source=SOURCE, digest=digest, kind=Kind.MANIFEST) in expiries


def test_an_unchanged_tag_costs_one_head_and_is_confirmed(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = push(upstream, 1)
    bench.handle(RESOLVE)
    os.utime(bench.storage.layout.tag_index(APP, LATEST, digest), (1, 1))
    asked = len(upstream.seen())

    bench.handle(RESOLVE)

    assert len(upstream.seen()) == asked + 1
    stored = bench.storage.tags.read(APP, LATEST)
    assert stored is not None
    assert stored.confirmed > 1


def test_a_tag_that_moved_points_to_the_new_manifest(bench: Workbench, upstream: Upstream) -> None:
    old = push(upstream, 1)
    bench.handle(RESOLVE)
    new = push(upstream, 2)

    bench.handle(RESOLVE)

    assert pointed(bench) == new
    assert bench.storage.has(Kind.MANIFEST, APP, new)
    assert bench.storage.has(Kind.MANIFEST, APP, old)


def test_a_tag_that_moved_back_needs_no_second_download(
    bench: Workbench, upstream: Upstream
) -> None:
    old = push(upstream, 1)
    bench.handle(RESOLVE)
    push(upstream, 2)
    bench.handle(RESOLVE)
    push(upstream, 1)

    bench.handle(RESOLVE)

    assert pointed(bench) == old
    assert len(upstream.seen(method="GET")) == 2


def test_a_tag_whose_manifest_was_vacuumed_is_fetched_again(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = push(upstream, 1)
    bench.handle(RESOLVE)
    os.unlink(bench.storage.layout.blob(digest))

    bench.handle(RESOLVE)

    assert bench.storage.has(Kind.MANIFEST, APP, digest)


def test_an_upstream_that_tells_no_digest_is_asked_for_the_manifest_by_tag(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.fail("*", Header("Docker-Content-Digest", None), methods=ASKING)
    digest = push(upstream, 1)

    bench.handle(RESOLVE)

    assert pointed(bench) == digest
    assert bench.storage.has(Kind.MANIFEST, APP, digest)


@pytest.mark.parametrize(
    ("status", "expected"), [(404, 404), (500, 502), (429, 503), (401, 403), (403, 403)]
)
def test_a_failure_is_told_as_a_fact_and_what_is_stored_stays(
    bench: Workbench, upstream: Upstream, status: int, expected: int
) -> None:
    digest = push(upstream, 1)
    bench.handle(RESOLVE)
    upstream.fail("*", Status(status), methods=ASKING)

    event = bench.failure(RESOLVE)

    assert event.status == expected
    assert pointed(bench) == digest
    assert bench.storage.has(Kind.MANIFEST, APP, digest)
    assert bench.leftovers() == []


def test_whoever_could_be_served_the_stored_tag_waits_for_one_try(
    bench: Workbench, upstream: Upstream
) -> None:
    push(upstream, 1)
    bench.handle(RESOLVE)
    asked = len(upstream.seen())
    upstream.fail("*", Status(503), methods=ASKING)

    bench.handle(RESOLVE)

    assert len(upstream.seen()) == asked + 1


def test_a_tag_of_which_nothing_is_stored_is_worth_every_try(
    tmp_path: Path, upstream: Upstream
) -> None:
    upstream.fail("*", Status(503), methods=ASKING)
    with workbench(tmp_path, attempts=3, default=upstream.url) as bench:
        bench.handle(RESOLVE)

    assert len(upstream.seen()) == 3


@pytest.mark.parametrize("media_type", sorted(SCHEMA_1))
def test_schema_1_is_never_stored(bench: Workbench, upstream: Upstream, media_type: str) -> None:
    digest = upstream.add_manifest(APP, LATEST, b'{"schemaVersion": 1}', media_type)

    event = bench.failure(RESOLVE)

    assert (event.status, event.code, event.retryable) == (404, "MANIFEST_UNKNOWN", False)
    assert "schema 1" in event.message
    assert bench.data(digest) is None
    assert pointed(bench) is None


def test_a_tag_is_never_pointed_to_a_manifest_that_could_not_be_had(
    tmp_path: Path, upstream: Upstream
) -> None:
    push(upstream, 1)
    upstream.fail("*", Status(500))
    with workbench(tmp_path, attempts=2, default=upstream.url) as bench:
        bench.failure(RESOLVE)

        assert pointed(bench) is None


def test_who_was_taken_for_dead_while_it_asked_does_not_move_the_tag_back(
    bench: Workbench, upstream: Upstream
) -> None:
    old = push(upstream, 1)
    bench.handle(RESOLVE)
    push(upstream, 2)
    claim = bench.storage.layout.claim(RESOLVE.key)

    def succeed() -> None:
        take_over(claim)
        bench.storage.tags.point(APP, LATEST, old)

    upstream.fail("*", Meanwhile(succeed), methods=("GET",))
    bench.recorder.published.clear()
    bench.recorder.events.clear()

    assert bench.handle(RESOLVE).settled == ["ack"]

    assert pointed(bench) == old
    assert bench.recorder.events == []
    assert not any(isinstance(message, ExpireTag) for _, message, _ in bench.recorder.published)
