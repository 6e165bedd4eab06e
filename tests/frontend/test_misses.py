"""Misses: what the frontend asks for, and what clients see while it arrives."""

import json
import os
import select
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.messages import (
    CheckBlob,
    FetchBlob,
    FetchManifest,
    FillCommitted,
    FillFailed,
    FillStarted,
    ListTags,
    Message,
    ResolveTag,
)
from common.reference import RepositoryName, Tag
from common.source import Source
from tests.frontend.stage import Answer, Filling, Opened, Stage, age, random_bytes, stage
from tests.waiting import until

REPOSITORY = "library/alpine"
NAME = RepositoryName(REPOSITORY)
SOURCE = Source("", NAME)
MANIFEST = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
SIZE = 900_000
CONTENT = random_bytes(SIZE)
DIGEST = Digest.of(CONTENT)
BLOB = f"/v2/{REPOSITORY}/blobs/{DIGEST}"
# What a response keeps back until the commit, at least.
HELD_BACK = 64 * 1024


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path / "root") as opened:
        opened.play_fetcher()
        yield opened


@pytest.fixture
def client(front: Stage) -> Iterator["Client"]:
    with ThreadPoolExecutor(32) as pool:
        yield Client(front, pool)


class Client:
    """Requests that run while the test goes on."""

    def __init__(self, front: Stage, pool: ThreadPoolExecutor) -> None:
        self._front, self._pool = front, pool

    def ask(self, path: str, method: str = "GET", **headers: str) -> "Future[Answer]":
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._pool.submit(self._front.ask, path, method, fields)

    def open(self, path: str) -> "Future[Opened]":
        return self._pool.submit(self._front.open, path)


def fail(front: Stage, job: Message, **facts: Any) -> None:
    known = {
        "status": 502,
        "code": "UNKNOWN",
        "message": "no answer",
        "retryable": True,
        "digest": getattr(job, "digest", None),
    }
    front.broker.emit(FillFailed(key=job.key, **{**known, **facts}))


def started(front: Stage, job: Message) -> None:
    front.broker.emit(FillStarted(key=job.key, digest=DIGEST))


def committed(front: Stage, job: Message, **facts: Any) -> None:
    digest = getattr(job, "digest", None)
    front.broker.emit(FillCommitted(key=job.key, digest=digest, **facts))


def error_code(answer: Answer) -> str:
    return str(json.loads(answer.body)["errors"][0]["code"])


def test_a_miss_becomes_a_job_and_streams_what_arrives(front: Stage, client: Client) -> None:
    answer = client.ask(BLOB)
    job = front.next_job()
    assert isinstance(job, FetchBlob)
    assert (job.source, job.digest) == (SOURCE, DIGEST)
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    filling.write(CONTENT[:500_000])
    started(front, job)
    filling.write(CONTENT[500_000:])
    filling.commit()
    committed(front, job)
    assert answer.result(20).body == CONTENT


def test_headers_and_first_bytes_come_while_the_rest_is_missing(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    opened = front.open(BLOB)
    assert opened.response.status == 200
    assert opened.response.getheader("Content-Length") == str(SIZE)
    filling.write(CONTENT[:1000])
    assert opened.read(1000) == CONTENT[:1000]
    filling.write(CONTENT[1000:])
    filling.commit()
    assert opened.rest() == (CONTENT[1000:], False)


def test_the_end_is_held_back_until_it_is_known_to_be_right(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    filling.write(CONTENT)
    opened = front.open(BLOB)
    assert opened.read(SIZE - HELD_BACK) == CONTENT[:-HELD_BACK]
    # A second of silence, though every byte is in the spool.
    assert select.select([opened.connection.sock], [], [], 1.0)[0] == []
    filling.commit()
    assert opened.rest() == (CONTENT[-HELD_BACK:], False)


def test_what_is_proven_is_given_to_its_end_though_it_is_not_committed(
    front: Stage, client: Client
) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    answer = client.ask(BLOB)
    filling.write(CONTENT)
    filling.prove()
    assert answer.result(20).body == CONTENT
    assert front.ask(BLOB).body == CONTENT, "one who comes later"
    filling.commit()
    assert front.ask(BLOB).body == CONTENT
    assert front.jobs.empty()


def test_what_was_given_of_a_spool_that_proved_wrong_is_compared_with_one_that_is_proven(
    front: Stage,
) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    wrong, right = front.open(BLOB), front.open(BLOB, headers={"Range": "bytes=600000-"})
    half = SIZE // 2
    filling.write(b"-" * half)
    assert wrong.read(half) == b"-" * half
    filling.start_over()
    filling.write(CONTENT)
    filling.prove()
    assert wrong.rest()[1], "cut short"
    assert right.rest() == (CONTENT[600_000:], False)


def test_a_spool_that_is_proven_and_has_another_size_than_was_told_is_cut(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE - 1000)
    opened = front.open(BLOB)
    filling.write(CONTENT)
    filling.prove()
    assert opened.rest()[1], "cut short"


def test_a_running_fill_is_joined_without_a_job(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    clients = [front.open(BLOB) for _ in range(8)]  # all have their headers
    filling.write(CONTENT)
    filling.commit()
    assert all(client.rest() == (CONTENT, False) for client in clients)
    assert front.jobs.empty()


def test_a_fill_ahead_of_its_clients_is_told_of_the_first_that_waits_for_it(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    filling.fill.begin_ahead()
    assert front.ask(BLOB, "HEAD").headers["content-length"] == str(SIZE)
    assert filling.fill.is_ahead(), "who only looks does not wait"
    opened = front.open(BLOB)
    until(lambda: not filling.fill.is_ahead(), what="the holder to be told")
    # Begun anew by a holder that had given up before: the client still waits.
    filling.fill.begin_ahead()
    filling.start_over()
    filling.write(CONTENT)
    until(lambda: not filling.fill.is_ahead(), what="the next holder to be told")
    filling.commit()
    assert opened.rest() == (CONTENT, False)


def test_a_fill_of_another_repository_is_not_given_away(front: Stage, client: Client) -> None:
    filling = Filling(front, DIGEST, "other/repository", SIZE)
    filling.write(CONTENT)
    answer = client.ask(BLOB)
    job = front.next_job()
    fail(front, job, status=404, code="BLOB_UNKNOWN", retryable=False)
    got = answer.result(20)
    assert (got.status, error_code(got)) == (404, "BLOB_UNKNOWN")
    filling.commit()
    assert front.ask(BLOB).status == 404


def test_a_second_repository_streams_once_it_is_a_member(front: Stage, client: Client) -> None:
    filling = Filling(front, DIGEST, "other/repository", SIZE)
    filling.write(CONTENT[:100_000])
    answer = client.ask(BLOB)
    job = front.next_job()
    filling.fill.admit(NAME)
    started(front, job)
    filling.write(CONTENT[100_000:])
    filling.commit()
    assert answer.result(20).body == CONTENT


@pytest.mark.parametrize(
    ("header", "start", "end"), [("bytes=10-99", 10, 100), ("bytes=-70000", SIZE - 70000, SIZE)]
)
def test_a_range_works_on_a_miss(
    front: Stage, client: Client, header: str, start: int, end: int
) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    answer = client.ask(BLOB, Range=header)
    filling.write(CONTENT)
    filling.commit()
    got = answer.result(20)
    assert (got.status, got.body) == (206, CONTENT[start:end])
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"


@pytest.mark.parametrize("header", ["bytes=70000-70099", "bytes=-0"])
def test_a_range_outside_what_a_fill_says_of_itself_waits_for_the_commit(
    front: Stage, client: Client, header: str
) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, 1)  # as an upstream told it that was wrong
    answer = client.ask(BLOB, Range=header)
    assert isinstance(front.next_job(), FetchBlob)
    assert not answer.done()
    filling.size = SIZE
    filling.start_over()
    filling.write(CONTENT)
    filling.commit()
    got = answer.result(20)
    if header == "bytes=-0":
        assert (got.status, error_code(got)) == (416, "SIZE_INVALID")
        assert got.headers["content-range"] == f"bytes */{SIZE}"
    else:
        assert (got.status, got.body) == (206, CONTENT[70_000:70_100])
        assert got.headers["content-range"] == f"bytes 70000-70099/{SIZE}"


def test_a_range_outside_a_fill_that_never_ends_is_no_416(front: Stage, client: Client) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    got = client.ask(BLOB, Range=f"bytes={SIZE}-").result(20)
    assert (got.status, error_code(got)) == (503, "UNAVAILABLE")
    assert "retry-after" in got.headers
    filling.abandon()


@pytest.mark.parametrize("header", ["bytes=-100", "bytes=0-99"])
def test_a_range_cut_to_a_wrong_size_is_never_a_whole_answer(front: Stage, header: str) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, 50)
    opened = front.open(BLOB, headers={"Range": header})
    filling.size = SIZE
    filling.start_over()
    filling.write(CONTENT)
    filling.commit()
    assert opened.rest() == (b"", True)


def test_a_range_of_other_content_does_not_wait(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    opened = front.open(BLOB, headers={"Range": f"bytes={SIZE}-", "If-Range": '"another"'})
    assert opened.response.status == 200
    filling.write(CONTENT)
    filling.commit()
    assert opened.rest() == (CONTENT, False)


def test_what_the_client_has_does_not_wait(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    known = {"Range": f"bytes={SIZE}-", "If-None-Match": f'"{DIGEST}"'}
    assert front.ask(BLOB, headers=known).status == 304
    filling.abandon()


@pytest.mark.parametrize("header", ["bytes=0-9", f"bytes={SIZE}-"])
def test_the_head_of_a_running_fill_knows_no_ranges(front: Stage, header: str) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    answer = front.ask(BLOB, "HEAD", headers={"Range": header})
    assert (answer.status, answer.headers["content-length"]) == (200, str(SIZE))
    filling.abandon()


def test_the_head_of_a_running_fill_needs_no_job(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    assert front.ask(BLOB, "HEAD").headers["content-length"] == str(SIZE)
    assert front.jobs.empty()
    filling.abandon()


def test_the_head_of_what_has_no_known_size_fails_at_once(front: Stage, client: Client) -> None:
    answer = client.ask(BLOB, "HEAD")
    committed(front, front.next_job())
    assert answer.result(20).status == 502


def test_the_head_of_what_is_missing_asks_but_does_not_fetch(front: Stage, client: Client) -> None:
    answer = client.ask(BLOB, "HEAD")
    job = front.next_job()
    assert isinstance(job, CheckBlob)
    committed(front, job, size=12345)
    assert answer.result(20).headers["content-length"] == "12345"


def test_bytes_that_were_wrong_cut_the_connection(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    opened = front.open(BLOB)
    filling.write(b"x" * 1000)
    assert opened.read(1000) == b"x" * 1000
    filling.start_over()
    filling.write(CONTENT)
    filling.commit()
    rest, cut = opened.rest()
    assert cut
    assert len(rest) < SIZE - 1000
    assert front.ask(BLOB).body == CONTENT


def test_a_restart_before_the_wrong_bytes_went_out_is_not_seen(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    opened = front.open(BLOB)
    filling.write(CONTENT[:1000])
    assert opened.read(1000) == CONTENT[:1000]
    filling.start_over()
    filling.write(CONTENT)
    filling.commit()
    assert opened.rest() == (CONTENT[1000:], False)


def test_a_fill_that_fails_cuts_those_it_had_begun_to_serve(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    opened = front.open(BLOB)
    filling.write(CONTENT[:1000])
    assert opened.read(1000) == CONTENT[:1000]
    filling.abandon()
    fail(front, FetchBlob(source=SOURCE, digest=DIGEST))
    rest, cut = opened.rest()
    assert (rest, cut) == (b"", True)


def test_a_fill_whose_holder_vanished_is_asked_for_again(front: Stage) -> None:
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    opened = front.open(BLOB)
    filling.write(CONTENT[:1000])
    assert opened.read(1000) == CONTENT[:1000]
    filling.claim.release()
    job = front.next_job()
    assert isinstance(job, FetchBlob)
    assert (job.source, job.digest) == (SOURCE, DIGEST)
    successor = Filling(front, DIGEST, REPOSITORY, SIZE)
    successor.write(CONTENT)
    successor.commit()
    assert opened.rest() == (CONTENT[1000:], False)


@pytest.mark.parametrize(
    ("facts", "status", "code"),
    [
        ({"status": 404, "code": "BLOB_UNKNOWN", "retryable": False}, 404, "BLOB_UNKNOWN"),
        ({"status": 403, "code": "DENIED", "retryable": False}, 403, "DENIED"),
        ({"status": 429, "code": "TOOMANYREQUESTS", "retry_after": 17}, 503, "TOOMANYREQUESTS"),
        ({"status": 503, "code": "UNAVAILABLE", "retry_after": 17}, 503, "UNAVAILABLE"),
        ({"status": 502, "code": "UNKNOWN"}, 502, "UNKNOWN"),
    ],
)
def test_a_failure_is_told_in_the_specifications_words(
    front: Stage, client: Client, facts: dict[str, Any], status: int, code: str
) -> None:
    answer = client.ask(BLOB)
    fail(front, front.next_job(), **facts)
    got = answer.result(20)
    assert (got.status, error_code(got)) == (status, code)
    assert got.headers.get("retry-after") == ("17" if "retry_after" in facts else None)


def test_what_is_not_there_is_not_asked_for_again_for_seconds(front: Stage, client: Client) -> None:
    answer = client.ask(BLOB)
    fail(front, front.next_job(), status=404, code="BLOB_UNKNOWN", retryable=False)
    assert answer.result(20).status == 404
    assert front.ask(BLOB).status == 404
    assert front.jobs.empty()


@pytest.mark.parametrize("path", [BLOB, f"/v2/{REPOSITORY}/manifests/{DIGEST}"])
def test_a_failure_that_may_pass_is_asked_for_again_at_once(
    front: Stage, client: Client, path: str
) -> None:
    answer = client.ask(path)
    fail(front, front.next_job())
    assert answer.result(20).status == 502
    again = client.ask(path)
    fail(front, front.next_job())
    assert again.result(20).status == 502


def test_patience_ends_in_503_with_retry_after(tmp_path: Path) -> None:
    with stage(tmp_path / "root", frontend={"patience": "1s"}) as front:
        front.ask("/v2/")  # the worker has started by then
        begun = time.monotonic()
        got = front.ask(BLOB)
        assert 0.9 < time.monotonic() - begun < 6
    assert (got.status, error_code(got)) == (503, "UNAVAILABLE")
    assert int(got.headers["retry-after"]) >= 1


def test_without_events_storage_is_looked_at_all_the_same(front: Stage, client: Client) -> None:
    answer = client.ask(BLOB)
    front.next_job()
    front.store_blob(REPOSITORY, CONTENT)
    assert answer.result(20).body == CONTENT


def test_many_clients_make_one_job(front: Stage, client: Client) -> None:
    clients = [client.open(BLOB) for _ in range(24)]
    job = front.next_job()
    filling = Filling(front, DIGEST, REPOSITORY, SIZE)
    started(front, job)
    # All have their headers before there is a blob that has no link yet.
    answers = [each.result(20) for each in clients]
    filling.write(CONTENT)
    filling.commit()
    committed(front, job)
    assert all(answer.rest() == (CONTENT, False) for answer in answers)
    assert front.jobs.empty()


def test_a_manifest_by_digest_is_fetched(front: Stage, client: Client) -> None:
    digest = Digest.of(MANIFEST)
    answer = client.ask(f"/v2/{REPOSITORY}/manifests/{digest}")
    job = front.next_job()
    assert isinstance(job, FetchManifest)
    front.store_manifest(REPOSITORY, MANIFEST)
    committed(front, job)
    assert answer.result(20).body == MANIFEST


def test_a_tag_is_resolved_and_then_served_for_its_time(front: Stage, client: Client) -> None:
    answer = client.ask(f"/v2/{REPOSITORY}/manifests/3.20")
    job = front.next_job()
    assert isinstance(job, ResolveTag)
    assert job.tag == "3.20"
    front.store_manifest(REPOSITORY, MANIFEST, "3.20")
    committed(front, job)
    assert answer.result(20).body == MANIFEST
    assert front.ask(f"/v2/{REPOSITORY}/manifests/3.20").body == MANIFEST
    assert front.jobs.empty()


def make_stale(front: Stage, tag: str) -> None:
    """Have a tag whose confirmation is too old."""
    digest = front.store_manifest(REPOSITORY, MANIFEST, tag)
    age(front.layout.tag_index(NAME, Tag(tag), digest), 3600)


def test_an_old_tag_is_asked_for_and_moves(front: Stage, client: Client) -> None:
    make_stale(front, "edge")
    answer = client.ask(f"/v2/{REPOSITORY}/manifests/edge")
    job = front.next_job()
    newer = MANIFEST + b" "
    front.store_manifest(REPOSITORY, newer, "edge")
    committed(front, job)
    assert answer.result(20).body == newer


@pytest.mark.parametrize("status", [502, 503, 429, 401, 403])
def test_an_old_tag_is_served_stale_when_the_upstream_fails(
    front: Stage, client: Client, status: int
) -> None:
    make_stale(front, "edge")
    answer = client.ask(f"/v2/{REPOSITORY}/manifests/edge")
    fail(front, front.next_job(), status=status)
    got = answer.result(20)
    assert (got.status, got.body) == (200, MANIFEST)
    assert got.headers["warning"].startswith("299 - ")
    assert front.ask(f"/v2/{REPOSITORY}/manifests/edge").headers["warning"].startswith("299 - ")
    assert front.jobs.empty()


@pytest.mark.parametrize("is_up", [True, False], ids=["confirmed", "stale"])
def test_a_tag_that_had_to_be_asked_for_has_been_used(
    front: Stage, client: Client, *, is_up: bool
) -> None:
    make_stale(front, "edge")
    current = front.layout.tag_current(NAME, Tag("edge"))
    age(current, 2 * 24 * 3600)
    before = os.stat(current).st_mtime
    answer = client.ask(f"/v2/{REPOSITORY}/manifests/edge")
    job = front.next_job()
    if is_up:
        front.store_manifest(REPOSITORY, MANIFEST, "edge")
        committed(front, job)
    else:
        fail(front, job)
    assert answer.result(20).status == 200
    assert os.stat(current).st_mtime > before + 24 * 3600


def test_a_tag_the_upstream_has_no_more_is_404(front: Stage, client: Client) -> None:
    make_stale(front, "edge")
    answer = client.ask(f"/v2/{REPOSITORY}/manifests/edge")
    fail(front, front.next_job(), status=404, code="MANIFEST_UNKNOWN", retryable=False)
    got = answer.result(20)
    assert (got.status, error_code(got)) == (404, "MANIFEST_UNKNOWN")
    assert front.ask(f"/v2/{REPOSITORY}/manifests/edge").status == 404
    assert front.jobs.empty()


def test_a_tag_nobody_can_be_asked_about_is_served_stale(tmp_path: Path) -> None:
    with stage(tmp_path / "root", frontend={"patience": "1s"}) as front:
        make_stale(front, "edge")
        got = front.ask(f"/v2/{REPOSITORY}/manifests/edge")
    assert (got.status, got.body) == (200, MANIFEST)
    assert got.headers["warning"].startswith("299 - ")


def test_the_tag_list_comes_in_pages(front: Stage, client: Client) -> None:
    answer = client.ask(f"/v2/{REPOSITORY}/tags/list?n=2")
    job = front.next_job()
    assert isinstance(job, ListTags)
    front.tag_lists.write(NAME, [Tag(name) for name in ("c", "a", "e", "b", "d")])
    committed(front, job)
    pages, got = [], answer.result(20)
    while True:
        pages.append(json.loads(got.body)["tags"])
        if "link" not in got.headers:
            break
        got = front.ask(got.headers["link"].partition(">")[0].removeprefix("<"))
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert json.loads(got.body)["name"] == REPOSITORY


def test_without_the_upstream_the_stored_tags_are_listed(front: Stage, client: Client) -> None:
    front.store_manifest(REPOSITORY, MANIFEST, "here")
    answer = client.ask(f"/v2/{REPOSITORY}/tags/list")
    fail(front, front.next_job(), status=502)
    assert json.loads(answer.result(20).body)["tags"] == ["here"]


def test_sigterm_lets_a_running_stream_finish(tmp_path: Path) -> None:
    # Far longer than the end may take: who has nothing to finish holds up nothing.
    with stage(tmp_path / "root", http={"draintimeout": "60s"}) as front:
        filling = Filling(front, DIGEST, REPOSITORY, SIZE)
        idle = front.open("/v2/")
        idle.read(2)
        opened = front.open(BLOB)
        filling.write(CONTENT[:1000])
        assert opened.read(1000) == CONTENT[:1000]
        front.process.terminate()
        filling.write(CONTENT[1000:])
        filling.commit()
        assert opened.rest() == (CONTENT[1000:], False)
        assert front.process.wait(15) == 0
        idle.close()
