"""What a frontend serves from storage, with nobody at the other end of the queue."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import Kind
from common.reference import RepositoryName, Tag
from tests.frontend.stage import Stage, age, random_bytes, stage

MANIFEST = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(Path(tmp_path_factory.mktemp("hits")) / "root") as opened:
        yield opened


@pytest.fixture(scope="module")
def content() -> bytes:
    return random_bytes(700_001)


@pytest.fixture(scope="module")
def blob(front: Stage, content: bytes) -> Digest:
    return front.store_blob("library/alpine", content)


@pytest.mark.parametrize("path", ["/", "/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_roots_answer(front: Stage, path: str, method: str) -> None:
    answer = front.ask(path, method)
    assert answer.status == 200
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


def test_a_blob_comes_whole_with_its_headers(front: Stage, blob: Digest, content: bytes) -> None:
    answer = front.ask(f"/v2/library/alpine/blobs/{blob}")
    assert answer.status == 200
    assert answer.body == content
    assert answer.headers["docker-content-digest"] == blob
    assert answer.headers["etag"] == f'"{blob}"'
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["accept-ranges"] == "bytes"


def test_the_head_of_a_blob_tells_its_size(front: Stage, blob: Digest, content: bytes) -> None:
    answer = front.ask(f"/v2/library/alpine/blobs/{blob}", "HEAD")
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(content))
    assert answer.body == b""


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_empty_blob_is_served(front: Stage, algorithm: str) -> None:
    digest = front.store_blob("library/empty", b"", algorithm)
    answer = front.ask(f"/v2/library/empty/blobs/{digest}")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")


def test_sha512_content_is_served(front: Stage, content: bytes) -> None:
    digest = front.store_blob("library/alpine", content, "sha512")
    assert front.ask(f"/v2/library/alpine/blobs/{digest}").body == content


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=700000-", 700_000, 700_001),
        ("bytes=-5", 699_996, 700_001),
        ("bytes=-9999999", 0, 700_001),
        ("bytes=300000-9999999", 300_000, 700_001),
        ("BYTES=1-2", 1, 3),
    ],
)
def test_a_range_gives_its_part(
    front: Stage, blob: Digest, content: bytes, header: str, start: int, end: int
) -> None:
    answer = front.ask(f"/v2/library/alpine/blobs/{blob}", headers={"Range": header})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"
    assert answer.body == content[start:end]


@pytest.mark.parametrize(
    "header",
    ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=" + "9" * 400 + "-"],
)
def test_a_range_that_makes_no_sense_is_ignored(
    front: Stage, blob: Digest, content: bytes, header: str
) -> None:
    answer = front.ask(f"/v2/library/alpine/blobs/{blob}", headers={"Range": header})
    assert (answer.status, len(answer.body)) == (200, len(content))


@pytest.mark.parametrize("header", ["bytes=700001-", "bytes=-0", "bytes=9999999-99999999"])
def test_a_range_outside_the_blob_is_416(front: Stage, blob: Digest, header: str) -> None:
    answer = front.ask(f"/v2/library/alpine/blobs/{blob}", headers={"Range": header})
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */700001"
    assert json.loads(answer.body)["errors"][0]["code"] == "SIZE_INVALID"


def test_a_head_knows_no_ranges(front: Stage, blob: Digest, content: bytes) -> None:
    for header in ("bytes=0-9", "bytes=700001-"):
        answer = front.ask(f"/v2/library/alpine/blobs/{blob}", "HEAD", {"Range": header})
        assert (answer.status, answer.headers["content-length"]) == (200, str(len(content)))
        assert "content-range" not in answer.headers


def test_if_range_of_other_content_gives_the_whole(front: Stage, blob: Digest) -> None:
    headers = {"Range": "bytes=0-1", "If-Range": '"sha256:other"'}
    assert front.ask(f"/v2/library/alpine/blobs/{blob}", headers=headers).status == 200
    headers["If-Range"] = f'"{blob}"'
    assert front.ask(f"/v2/library/alpine/blobs/{blob}", headers=headers).status == 206


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
def test_content_the_client_has_is_304(front: Stage, blob: Digest, form: str) -> None:
    answer = front.ask(
        f"/v2/library/alpine/blobs/{blob}", headers={"If-None-Match": form.format(blob)}
    )
    assert (answer.status, answer.body) == (304, b"")


def test_a_manifest_comes_by_digest_and_by_tag(front: Stage) -> None:
    digest = front.store_manifest("library/alpine", MANIFEST, "3.20")
    for reference in (digest, "3.20"):
        answer = front.ask(f"/v2/library/alpine/manifests/{reference}")
        assert (answer.status, answer.body) == (200, MANIFEST)
        assert answer.headers["docker-content-digest"] == digest
        assert answer.headers["content-type"] == OCI_MANIFEST
        assert answer.headers["etag"] == f'"{digest}"'
        head = front.ask(f"/v2/library/alpine/manifests/{reference}", "HEAD")
        assert head.headers["content-length"] == str(len(MANIFEST))
        known = {"If-None-Match": f'"{digest}"'}
        assert front.ask(f"/v2/library/alpine/manifests/{reference}", headers=known).status == 304


@pytest.mark.parametrize(
    ("manifest", "media_type"),
    [
        ({"mediaType": "application/vnd.docker.distribution.manifest.v2+json"}, None),
        ({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}, None),
        ({"manifests": []}, "application/vnd.oci.image.index.v1+json"),
        ({"layers": []}, OCI_MANIFEST),
        ({"mediaType": "text/html", "layers": []}, OCI_MANIFEST),
        ({"mediaType": "application/vnd.oci.artifact.manifest.v1+json"}, None),
        ({"mediaType": "bad\r\nheader"}, OCI_MANIFEST),
        ([], "application/octet-stream"),
    ],
)
def test_a_manifests_type_is_what_it_says_or_shows(
    front: Stage, manifest: dict[str, object], media_type: str | None
) -> None:
    digest = front.store_manifest("library/types", json.dumps(manifest).encode())
    answer = front.ask(f"/v2/library/types/manifests/{digest}")
    expected = manifest["mediaType"] if media_type is None else media_type
    assert answer.headers["content-type"] == expected


def test_a_hit_marks_an_old_use_anew(front: Stage) -> None:
    digest = front.store_blob("library/marked", b"marked")
    manifest = front.store_manifest("library/marked", MANIFEST, "1")
    name = RepositoryName("library/marked")
    links = [
        front.layout.link(Kind.LAYER, name, digest),
        front.layout.link(Kind.MANIFEST, name, manifest),
        front.layout.tag_current(name, Tag("1")),
    ]
    for link in links:
        age(link, 7200)
    before = [os.stat(link).st_mtime for link in links]
    front.ask(f"/v2/library/marked/blobs/{digest}")
    front.ask("/v2/library/marked/manifests/1")
    after = [os.stat(link).st_mtime for link in links]
    assert all(late - early > 3600 for early, late in zip(before, after, strict=True))


def test_a_recent_use_is_not_written_again(front: Stage) -> None:
    digest = front.store_blob("library/recent", b"recent")
    link = front.layout.link(Kind.LAYER, RepositoryName("library/recent"), digest)
    age(link, 60)
    before = os.stat(link).st_mtime_ns
    front.ask(f"/v2/library/recent/blobs/{digest}")
    assert os.stat(link).st_mtime_ns == before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/library/alpine/manifests/3.20",
        "/v2/library/alpine/blobs/sha256:" + "0" * 64,
        "/v2/library/alpine/blobs/uploads/",
        "/v2/library/alpine/blobs/uploads/5-6",
        "/v2/library/alpine/tags/list",
        "/v2/",
    ],
)
def test_writes_are_405_unsupported(front: Stage, method: str, path: str) -> None:
    answer = front.ask(path, method)
    assert answer.status == 405
    assert json.loads(answer.body)["errors"][0]["code"] == "UNSUPPORTED"
