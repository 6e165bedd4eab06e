"""Manifests and tags: whole, checked and bounded."""

import hashlib
import json

import pytest

from common.digest import Digest
from common.errors import UpstreamError
from common.mediatypes import DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT, SCHEMA_1
from common.reference import Tag
from fetcher.manifests import MANIFEST_BYTES
from tests.fetcher.client import REPOSITORY, TAG, upstream
from tests.fetcher.recording import Reply, Seen, serving

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
BODY = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
DIGEST = Digest.of(BODY)
SHA512 = Digest("sha512:" + hashlib.sha512(BODY).hexdigest())


def manifest(_: Seen) -> Reply:
    return Reply(body=BODY, headers={"Content-Type": INDEX, "Docker-Content-Digest": DIGEST})


def test_a_manifest_by_tag_has_its_bytes_type_and_digest() -> None:
    with serving(manifest) as server, upstream(server.url) as client:
        got = client.manifest(REPOSITORY, TAG)
        assert (got.body, got.media_type, got.digest) == (BODY, INDEX, DIGEST)
        assert server.seen[0].path == f"/v2/{REPOSITORY}/manifests/latest"
        assert INDEX in server.seen[0].headers["accept"].split(", ")


def test_a_manifest_is_asked_for_in_the_types_the_caller_accepts() -> None:
    with serving(manifest) as server, upstream(server.url) as client:
        client.manifest(REPOSITORY, DIGEST, accept=[IMAGE, "application/json"])
        assert server.seen[0].headers["accept"] == f"{IMAGE}, application/json"


@pytest.mark.parametrize("digest", [DIGEST, SHA512])
def test_a_manifest_by_digest_is_compared_with_it(digest: Digest) -> None:
    with serving(manifest) as server, upstream(server.url) as client:
        assert client.manifest(REPOSITORY, digest).digest == digest


@pytest.mark.parametrize("reference", [Digest.of(b"other"), TAG])
def test_a_manifest_that_is_not_what_it_is_called_is_worth_a_retry(reference: Digest | Tag) -> None:
    def corrupted(_: Seen) -> Reply:
        return Reply(body=BODY + b" ", headers={"Docker-Content-Digest": DIGEST})

    with serving(corrupted) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="not the content of") as caught:
            client.manifest(REPOSITORY, reference)
        assert (caught.value.status, caught.value.retryable) == (502, True)


def test_a_manifest_by_tag_may_be_called_by_another_algorithm() -> None:
    reply = Reply(body=BODY, headers={"Docker-Content-Digest": SHA512})
    with serving(lambda _: reply) as server, upstream(server.url) as client:
        assert client.manifest(REPOSITORY, TAG).digest == SHA512


def test_a_manifest_by_tag_without_a_digest_told_is_called_by_its_bytes() -> None:
    with serving(lambda _: Reply(body=BODY)) as server, upstream(server.url) as client:
        assert client.manifest(REPOSITORY, TAG).digest == DIGEST


@pytest.mark.parametrize(
    ("told", "body", "expected"),
    [
        (INDEX, BODY, INDEX),
        (INDEX + "; charset=utf-8", b"{}", INDEX),
        ("text/plain", BODY, INDEX),
        ("", BODY, INDEX),
        ("application/json", b"{}", "application/json"),
        ("", b"{}", "application/octet-stream"),
        ("no type", b'{"mediaType": "a/b\\r\\nX-Evil: 1"}', "application/octet-stream"),
    ],
)
def test_the_media_type_is_one_asked_for_or_the_manifests_own(
    told: str, body: bytes, expected: str
) -> None:
    reply = Reply(body=body, headers={"Content-Type": told})
    with serving(lambda _: reply) as server, upstream(server.url) as client:
        assert client.manifest(REPOSITORY, TAG).media_type == expected


def test_everything_there_is_is_asked_for_preferably_without_schema_1() -> None:
    with serving(manifest) as server, upstream(server.url) as client:
        client.manifest(REPOSITORY, DIGEST)
        client.head_manifest(REPOSITORY, TAG)
        for seen in server.seen:
            types = seen.headers["accept"].split(", ")
            assert types[-1] == "*/*"
            assert {*types} >= {INDEX, IMAGE, DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT}
            assert not SCHEMA_1 & {*types}


@pytest.mark.parametrize(
    ("told", "body"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion": 1}'),
        ("application/vnd.docker.distribution.manifest.v1+json", b'{"schemaVersion": 1}'),
        ("application/json", b'{"schemaVersion": 1, "fsLayers": [], "signatures": []}'),
    ],
)
@pytest.mark.parametrize("reference", [TAG, DIGEST])
def test_schema_1_is_refused_in_plain_words(
    told: str, body: bytes, reference: Digest | Tag
) -> None:
    # Its digest is that of other bytes, as in earnest.
    reply = Reply(body=body, headers={"Content-Type": told, "Docker-Content-Digest": DIGEST})
    with serving(lambda _: reply) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="schema 1 format") as caught:
            client.manifest(REPOSITORY, reference)
        error = caught.value
        assert (error.status, error.code, error.retryable) == (404, "MANIFEST_UNKNOWN", False)


def test_schema_1_is_refused_by_what_head_tells() -> None:
    told = "application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8"
    reply = Reply(headers={"Content-Type": told, "Docker-Content-Digest": DIGEST})
    with (
        serving(lambda _: reply) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="schema 1 format"),
    ):
        client.head_manifest(REPOSITORY, TAG)


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b"", b"[]", b"7"])
def test_what_is_no_manifest_is_not_taken_for_one(body: bytes) -> None:
    with serving(lambda _: Reply(body=body)) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="no manifest") as caught:
            client.manifest(REPOSITORY, TAG)
        assert (caught.value.status, caught.value.retryable) == (502, True)


def test_a_manifest_as_large_as_allowed_arrives() -> None:
    body = b" " * MANIFEST_BYTES
    with serving(lambda _: Reply(body=body)) as server, upstream(server.url) as client:
        assert client.manifest(REPOSITORY, Digest.of(body)).body == body


def test_a_manifest_larger_than_allowed_is_refused_for_good() -> None:
    body = b" " * (MANIFEST_BYTES + 1)
    with serving(lambda _: Reply(body=body)) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="more than 4194304 bytes") as caught:
            client.manifest(REPOSITORY, TAG)
        assert (caught.value.code, caught.value.retryable) == ("MANIFEST_INVALID", False)


def test_an_encoded_manifest_is_an_error() -> None:
    reply = Reply(body=BODY, headers={"Content-Encoding": "gzip"})
    with (
        serving(lambda _: reply) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="content encoding"),
    ):
        client.manifest(REPOSITORY, TAG)


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "MANIFEST_UNKNOWN"), (b'{"errors":[{"code":"NAME_UNKNOWN"}]}', "NAME_UNKNOWN")],
)
def test_a_missing_manifest_is_404_with_the_registrys_reason(body: bytes, code: str) -> None:
    with serving(lambda _: Reply(404, body)) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError) as caught:
            client.manifest(REPOSITORY, TAG)
        error = caught.value
        assert (error.status, error.code, error.retryable) == (404, code, False)


def test_a_tags_digest_is_told_by_head() -> None:
    with serving(manifest) as server, upstream(server.url) as client:
        assert client.head_manifest(REPOSITORY, TAG) == DIGEST
        assert server.seen[0].method == "HEAD"
        assert "if-none-match" not in server.seen[0].headers
        assert INDEX in server.seen[0].headers["accept"].split(", ")


def test_an_unchanged_tag_is_what_it_was() -> None:
    def unchanged(seen: Seen) -> Reply:
        return Reply(304 if seen.headers.get("if-none-match") == f'"{DIGEST}"' else 500)

    with serving(unchanged) as server, upstream(server.url) as client:
        assert client.head_manifest(REPOSITORY, TAG, DIGEST) == DIGEST


@pytest.mark.parametrize(
    "reply",
    [Reply(), Reply(headers={"Docker-Content-Digest": "md5:1"}), Reply(405), Reply(501)],
)
def test_a_digest_that_is_not_told_is_none(reply: Reply) -> None:
    with serving(lambda _: reply) as server, upstream(server.url) as client:
        assert client.head_manifest(REPOSITORY, TAG, DIGEST) is None


@pytest.mark.parametrize(
    ("answered", "status"), [(404, 404), (401, 403), (429, 503), (500, 502), (304, 502)]
)
def test_a_tag_that_cannot_be_asked_about_is_an_error(answered: int, status: int) -> None:
    with serving(lambda _: Reply(answered)) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError) as caught:
            client.head_manifest(REPOSITORY, TAG)
        assert caught.value.status == status
