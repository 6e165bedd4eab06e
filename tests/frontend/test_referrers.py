"""Referrers: what the frontend asks for, and what clients get."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.mediatypes import OCI_INDEX, OCI_MANIFEST
from common.messages import ListReferrers
from common.reference import RepositoryName
from common.source import Source
from tests.frontend.playing import Client, commit, error_code, fail
from tests.frontend.stage import Answer, Stage, age, stage

NAME = RepositoryName("library/alpine")
SUBJECT = Digest.of(b"subject")
REFERRERS = f"/v2/{NAME}/referrers/{SUBJECT}"
SBOM, SIGNATURE = "application/vnd.example.sbom.v1+json", "application/vnd.example.signature"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path / "root") as opened:
        opened.play_fetcher()
        yield opened


@pytest.fixture
def client(front: Stage) -> Iterator[Client]:
    with ThreadPoolExecutor(4) as pool:
        yield Client(front, pool)


def descriptor(number: int, artifact_type: str) -> dict[str, Any]:
    return {
        "mediaType": OCI_MANIFEST,
        "digest": Digest.of(str(number).encode()),
        "size": number,
        "artifactType": artifact_type,
        "annotations": {"org.example.number": str(number)},
    }


LISTED = [descriptor(1, SBOM), descriptor(2, SIGNATURE), descriptor(3, SBOM)]


def heard(front: Stage, descriptors: list[dict[str, Any]], ago: float = 0.0) -> None:
    front.referrer_lists.write(NAME, SUBJECT, descriptors)
    age(front.layout.referrer_list(NAME, SUBJECT), ago)


def listed_in(answer: Answer) -> list[dict[str, Any]]:
    """The descriptors in an answer that is what the specification says."""
    assert (answer.status, answer.headers["content-type"]) == (200, OCI_INDEX), answer.body
    index = json.loads(answer.body)
    assert (index["schemaVersion"], index["mediaType"]) == (2, OCI_INDEX)
    descriptors: list[dict[str, Any]] = index["manifests"]
    return descriptors


def test_a_list_heard_just_now_is_given_whole_and_in_order(front: Stage) -> None:
    heard(front, LISTED)
    answer = front.ask(REFERRERS)
    assert listed_in(answer) == LISTED
    assert "oci-filters-applied" not in answer.headers
    assert front.jobs.empty()


def test_head_tells_the_size(front: Stage) -> None:
    heard(front, LISTED)
    got, head = front.ask(REFERRERS), front.ask(REFERRERS, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize("written", [SBOM.replace("+", "%2B"), SBOM])
def test_one_artifact_type_is_picked_out_and_said_to_be(front: Stage, written: str) -> None:
    heard(front, LISTED)
    answer = front.ask(f"{REFERRERS}?artifactType={written}")
    assert listed_in(answer) == [LISTED[0], LISTED[2]]
    assert answer.headers["oci-filters-applied"] == "artifactType"


def test_a_type_that_nothing_has_gives_an_empty_list(front: Stage) -> None:
    heard(front, LISTED)
    answer = front.ask(f"{REFERRERS}?artifactType=application/none")
    assert listed_in(answer) == []
    assert answer.headers["oci-filters-applied"] == "artifactType"


def test_what_was_not_heard_is_asked_for(front: Stage, client: Client) -> None:
    answer = client.ask(REFERRERS)
    job = front.next_job()
    assert isinstance(job, ListReferrers)
    assert (job.source, job.digest) == (Source("", NAME), SUBJECT)
    heard(front, LISTED)
    commit(front, job)
    assert listed_in(answer.result(20)) == LISTED


def test_nothing_refers_to_it_and_that_is_remembered(front: Stage, client: Client) -> None:
    answer = client.ask(REFERRERS)
    commit(front, front.next_job())
    assert listed_in(answer.result(20)) == []
    assert listed_in(front.ask(f"{REFERRERS}?artifactType={SIGNATURE}")) == []
    assert front.jobs.empty()


def test_an_old_list_is_asked_for_again(front: Stage, client: Client) -> None:
    heard(front, LISTED[:1], ago=3600)
    answer = client.ask(REFERRERS)
    job = front.next_job()
    heard(front, LISTED)
    commit(front, job)
    assert listed_in(answer.result(20)) == LISTED


def test_a_list_that_the_upstream_has_no_more_is_empty(front: Stage, client: Client) -> None:
    heard(front, LISTED, ago=3600)
    answer = client.ask(REFERRERS)
    job = front.next_job()
    front.referrer_lists.forget(NAME, SUBJECT)
    commit(front, job)
    assert listed_in(answer.result(20)) == []


def test_an_old_list_is_given_when_the_upstream_cannot_be_asked(
    front: Stage, client: Client
) -> None:
    heard(front, LISTED, ago=3600)
    answer = client.ask(REFERRERS)
    fail(front, front.next_job())
    got = answer.result(20)
    assert listed_in(got) == LISTED
    assert got.headers["warning"].startswith("299 - ")


@pytest.mark.parametrize(("status", "code"), [(403, "DENIED"), (502, "UNKNOWN")])
def test_without_a_list_the_failure_is_told(
    front: Stage, client: Client, status: int, code: str
) -> None:
    """Not an empty list: "nothing signs this" must not be what an outage looks like."""
    answer = client.ask(REFERRERS)
    fail(front, front.next_job(), status=status, code=code)
    got = answer.result(20)
    assert (got.status, error_code(got)) == (status, code)


def test_the_subject_may_have_a_sha512_digest(front: Stage) -> None:
    subject = Digest.of(b"subject", "sha512")
    front.referrer_lists.write(NAME, subject, LISTED)
    assert listed_in(front.ask(f"/v2/{NAME}/referrers/{subject}")) == LISTED


@pytest.mark.parametrize("digest", ["latest", "sha256:zz", "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_what_is_no_digest_is_400(front: Stage, digest: str) -> None:
    answer = front.ask(f"/v2/{NAME}/referrers/{digest}")
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")


def test_lists_of_two_repositories_are_two(front: Stage) -> None:
    heard(front, LISTED)
    other = RepositoryName("library/other")
    front.referrer_lists.write(other, SUBJECT, LISTED[:1])
    assert listed_in(front.ask(f"/v2/{other}/referrers/{SUBJECT}")) == LISTED[:1]
    assert listed_in(front.ask(REFERRERS)) == LISTED
