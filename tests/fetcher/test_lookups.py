"""CheckBlob, ListTags and ListReferrers."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from common.digest import Digest
from common.mediatypes import OCI_MANIFEST
from common.messages import CheckBlob, FetchManifest, FillCommitted, ListReferrers, ListTags
from common.reference import RepositoryName, Tag
from common.source import Source
from tests.fetcher.succession import Meanwhile, take_over
from tests.fetcher.workbench import Workbench, workbench
from tests.parts.counting import Upstream
from tests.parts.faults import Status

APP = RepositoryName("team/app")
SOURCE = Source("", APP)


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Iterator[Workbench]:
    with workbench(tmp_path, default=upstream.url) as ready:
        yield ready


def test_an_existing_blob_s_size_is_told_and_nothing_is_fetched(
    bench: Workbench, upstream: Upstream
) -> None:
    digest = upstream.add_blob(APP, b"x" * 1234)
    job = CheckBlob(source=SOURCE, digest=digest)

    assert bench.handle(job).settled == ["ack"]

    assert bench.recorder.events == [FillCommitted(key=job.key, size=1234)]
    assert upstream.seen(method="GET") == []
    assert bench.data(digest) is None
    assert bench.leftovers() == []


def test_a_blob_the_repository_does_not_have_is_404(bench: Workbench, upstream: Upstream) -> None:
    digest = upstream.add_blob("team/other", b"x")

    event = bench.failure(CheckBlob(source=SOURCE, digest=digest))

    assert (event.status, event.code) == (404, "BLOB_UNKNOWN")
    assert event.digest is None, "those who wait for the blob itself are not concerned"


def test_the_list_of_tags_is_stored(bench: Workbench, upstream: Upstream) -> None:
    upstream.add_manifest(APP, "v2", b"{}", "application/json")
    upstream.add_manifest(APP, "v1", b"{}", "application/json")
    job = ListTags(source=SOURCE)

    bench.handle(job)

    listed = bench.storage.tag_lists.read(APP)
    assert listed is not None
    assert listed[0] == ["v1", "v2"]
    assert bench.recorder.events == [FillCommitted(key=job.key)]


def test_a_stretch_of_a_list_is_stored_beside_its_beginning(
    bench: Workbench, upstream: Upstream
) -> None:
    for tag in ("v1", "v2", "v3"):
        upstream.add_manifest(APP, tag, b"{}", "application/json")
    bench.storage.tag_lists.write(APP, [Tag("v1")], whole=False)
    job = ListTags(source=SOURCE, after=Tag("v1"))

    bench.handle(job)

    first = bench.storage.tag_lists.read(APP)
    second = bench.storage.tag_lists.read(APP, Tag("v1"))
    assert first is not None
    assert second is not None
    assert (first.tags, second.tags) == (["v1"], ["v2", "v3"])
    assert bench.recorder.events == [FillCommitted(key=job.key)]


def test_a_list_that_cannot_be_had_leaves_the_old_one(bench: Workbench, upstream: Upstream) -> None:
    upstream.add_manifest(APP, "v1", b"{}", "application/json")
    bench.handle(ListTags(source=SOURCE))
    upstream.fail("*", Status(404))

    event = bench.failure(ListTags(source=SOURCE))

    assert event.status == 404
    listed = bench.storage.tag_lists.read(APP)
    assert listed is not None
    assert listed[0] == ["v1"]


def test_a_passing_failure_is_asked_again(bench: Workbench, upstream: Upstream) -> None:
    upstream.add_manifest(APP, "v1", b"{}", "application/json")
    upstream.fail("*", Status(503), times=2)

    bench.handle(ListTags(source=SOURCE))

    assert bench.storage.tag_lists.read(APP) is not None
    assert len(upstream.seen(method="GET")) == 3


@pytest.mark.parametrize("listed_before", [True, False])
def test_one_try_is_enough_for_a_list_when_there_is_something_to_give(
    bench: Workbench, upstream: Upstream, listed_before: bool
) -> None:
    upstream.add_manifest(APP, "v1", b"{}", "application/json")
    if listed_before:
        bench.handle(ListTags(source=SOURCE))
    else:
        bench.storage.tags.point(APP, Tag("v1"), Digest.of(b"{}"))
    asked = len(upstream.seen())
    upstream.fail("*", Status(503))

    bench.failure(ListTags(source=SOURCE))

    assert len(upstream.seen()) == asked + 1


SUBJECT = Digest.of(b"{}")
REFERRERS = ListReferrers(source=SOURCE, digest=SUBJECT)
REFERRER = f'{{"subject": {{"digest": "{SUBJECT}"}}, "artifactType": "a/b"}}'.encode()


def referrers(bench: Workbench) -> list[str] | None:
    """The digests in the stored list."""
    listed = bench.storage.referrer_lists.read(APP, SUBJECT)
    if listed is None:
        return None
    return [each["digest"] for each in json.loads(listed.index)["manifests"]]


def test_what_refers_to_a_manifest_is_stored(bench: Workbench, upstream: Upstream) -> None:
    upstream.content.most_referrers = 1
    digests = [
        upstream.add_manifest(APP, None, REFERRER + b" " * number, OCI_MANIFEST)
        for number in range(3)
    ]

    bench.handle(REFERRERS)

    assert referrers(bench) == digests
    assert bench.recorder.events == [FillCommitted(key=REFERRERS.key)]
    assert bench.leftovers() == []


def test_that_nothing_refers_to_a_stored_manifest_is_stored(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.add_manifest(APP, None, b"{}", OCI_MANIFEST)
    bench.handle(FetchManifest(source=SOURCE, digest=SUBJECT))

    bench.handle(REFERRERS)

    assert referrers(bench) == []


def test_that_nothing_refers_to_what_somebody_made_up_leaves_no_file(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.content.most_referrers = 10
    upstream.add_manifest(APP, None, b'{"another": 1}', OCI_MANIFEST)

    bench.handle(REFERRERS)

    assert referrers(bench) is None
    assert bench.recorder.events == [FillCommitted(key=REFERRERS.key)]


def test_a_list_that_became_empty_goes(bench: Workbench, upstream: Upstream) -> None:
    upstream.content.most_referrers = 10
    digest = upstream.add_manifest(APP, None, REFERRER, OCI_MANIFEST)
    bench.handle(REFERRERS)
    assert referrers(bench) == [digest]
    upstream.content.remove(APP, digest)

    bench.handle(REFERRERS)

    assert referrers(bench) is None


def test_an_old_list_of_referrers_stays_and_one_try_is_enough(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.content.most_referrers = 10
    digest = upstream.add_manifest(APP, None, REFERRER, OCI_MANIFEST)
    bench.handle(REFERRERS)
    asked = len(upstream.seen())
    upstream.fail("*", Status(503))

    bench.failure(REFERRERS)

    assert len(upstream.seen()) == asked + 1
    assert referrers(bench) == [digest]


def test_who_was_taken_for_dead_while_it_asked_leaves_the_lists_to_its_successor(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.content.most_referrers = 10
    upstream.add_manifest(APP, "v1", REFERRER, OCI_MANIFEST)
    for job in (ListTags(source=SOURCE), REFERRERS):
        claim = bench.storage.layout.claim(job.key)
        upstream.fail("*", Meanwhile(partial(take_over, claim)), times=1)

        assert bench.handle(job).settled == ["ack"]

    assert bench.storage.tag_lists.read(APP) is None
    assert referrers(bench) is None
    assert bench.recorder.events == []


def test_who_was_taken_for_dead_does_not_remove_its_successors_list(
    bench: Workbench, upstream: Upstream
) -> None:
    upstream.content.most_referrers = 10
    digest = upstream.add_manifest(APP, None, REFERRER, OCI_MANIFEST)
    bench.handle(REFERRERS)
    upstream.content.remove(APP, digest)
    upstream.fail("*", Meanwhile(partial(take_over, bench.storage.layout.claim(REFERRERS.key))))

    bench.handle(REFERRERS)

    assert referrers(bench) == [digest]
