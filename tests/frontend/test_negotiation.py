"""Accept headers as clients really send them, and every kind of manifest under them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1,
)
from frontend.negotiation import image_instead, takes
from tests.frontend.playing import error_code
from tests.frontend.stage import Stage, stage

NAME = "library/kinds"
PRETTY, PLAIN = sorted(SCHEMA_1, reverse=True)
EVERYTHING = f"{DOCKER_MANIFEST}, {DOCKER_LIST}, {OCI_MANIFEST}, {OCI_INDEX}"
IMAGES_ONLY = f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"

# What they send for a tag; dockerd one type to a line, which HTTP has mean the same.
CLIENTS = {
    "containerd": f"{EVERYTHING}, */*",
    "dockerd": f"{DOCKER_MANIFEST}, {PRETTY}, {PLAIN}, {DOCKER_LIST}, {OCI_INDEX}, {OCI_MANIFEST}",
    "podman, skopeo, CRI-O": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}, {PRETTY}, {PLAIN},"
    f" {DOCKER_LIST}, {OCI_INDEX}",
    "crane, cosign": f"{PLAIN},{PRETTY},{DOCKER_MANIFEST},{OCI_MANIFEST},{DOCKER_LIST},{OCI_INDEX}",
    "oras, helm": f"{EVERYTHING}, {OCI_ARTIFACT}",
    "curl": "*/*",
    "a script from before lists": DOCKER_MANIFEST,
    "a browser": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "nonsense": ";;q=,,/,*",
    "another thing altogether": "image/png",
}


def encoded(**manifest: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **manifest}).encode()


AMD64 = encoded(mediaType=DOCKER_MANIFEST, config={}, layers=[{"of": "amd64"}])
OCI_AMD64 = encoded(mediaType=OCI_MANIFEST, config={}, layers=[{"of": "amd64"}])


def index_over(media_type: str, image: bytes, image_type: str, **more: Any) -> bytes:
    other = {"mediaType": image_type, "digest": Digest.of(b"arm64"), "size": 5}
    amd64 = {"mediaType": image_type, "digest": Digest.of(image), "size": len(image)}
    return encoded(
        mediaType=media_type,
        manifests=[
            {**other, "platform": {"os": "linux", "architecture": "arm64"}},
            {**amd64, "platform": {"os": "linux", "architecture": "amd64"}},
        ],
        **more,
    )


KINDS = {
    "oci": (OCI_AMD64, OCI_MANIFEST),
    "schema2": (AMD64, DOCKER_MANIFEST),
    "list": (index_over(DOCKER_LIST, AMD64, DOCKER_MANIFEST), DOCKER_LIST),
    "index": (index_over(OCI_INDEX, OCI_AMD64, OCI_MANIFEST), OCI_INDEX),
    "untyped": (encoded(config={}, layers=[]), OCI_MANIFEST),
    "untyped-index": (encoded(manifests=[]), OCI_INDEX),
    "artifact": (encoded(mediaType=OCI_MANIFEST, artifactType="application/x"), OCI_MANIFEST),
    "artifact-index": (
        encoded(mediaType=OCI_INDEX, artifactType="application/x", manifests=[]),
        OCI_INDEX,
    ),
    "old-artifact": (encoded(mediaType=OCI_ARTIFACT, blobs=[]), OCI_ARTIFACT),
    "helm": (
        encoded(config={"mediaType": "application/vnd.cncf.helm.config.v1+json"}, layers=[]),
        OCI_MANIFEST,
    ),
}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(Path(tmp_path_factory.mktemp("kinds")) / "root") as opened:
        for tag, (content, _media_type) in KINDS.items():
            opened.store_manifest(NAME, content, tag)
        yield opened


@pytest.mark.parametrize("accept", CLIENTS.values(), ids=list(CLIENTS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_served_by_digest_whatever_accept_says(
    front: Stage, kind: str, accept: str
) -> None:
    content, media_type = KINDS[kind]
    digest = Digest.of(content)
    answer = front.ask(f"/v2/{NAME}/manifests/{digest}", headers={"Accept": accept})
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["docker-content-digest"] == digest


@pytest.mark.parametrize(
    "client", ["containerd", "dockerd", "podman, skopeo, CRI-O", "crane, cosign", "oras, helm"]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_todays_clients_get_by_tag_what_the_upstream_has(
    front: Stage, client: str, kind: str, method: str
) -> None:
    content, media_type = KINDS[kind]
    headers = {"Accept": CLIENTS[client]}
    answer = front.ask(f"/v2/{NAME}/manifests/{kind}", method, headers)
    assert (answer.status, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["docker-content-digest"] == Digest.of(content)
    assert answer.headers["content-length"] == str(len(content))


def test_types_on_lines_of_their_own_are_one_accept(front: Stage) -> None:
    """As dockerd writes them; the index is the last of them."""
    lines = "".join(f"Accept: {media_type}\r\n" for media_type in [DOCKER_MANIFEST, OCI_INDEX])
    request = f"GET /v2/{NAME}/manifests/index HTTP/1.1\r\nHost: cache\r\n{lines}"
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(f"{request}Connection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.endswith(KINDS["index"][0])


def test_without_accept_the_manifest_is_served(front: Stage) -> None:
    assert front.ask(f"/v2/{NAME}/manifests/index").body == KINDS["index"][0]


@pytest.mark.parametrize(("kind", "image"), [("list", AMD64), ("index", OCI_AMD64)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_that_takes_no_indexes_gets_the_default_platforms_image_by_tag(
    front: Stage, kind: str, image: bytes, method: str
) -> None:
    front.store_manifest(NAME, image)
    answer = front.ask(f"/v2/{NAME}/manifests/{kind}", method, {"Accept": IMAGES_ONLY})
    assert answer.headers["docker-content-digest"] == Digest.of(image)
    assert answer.headers["content-length"] == str(len(image))
    assert answer.body == (image if method == "GET" else b"")


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        (None, OCI_INDEX, True),
        ("", OCI_INDEX, True),
        ("*/*", OCI_INDEX, True),
        ("application/*", OCI_INDEX, True),
        ("*/*;q=0.1", OCI_INDEX, True),
        ("*/*;q=0", OCI_INDEX, False),
        (f"{OCI_INDEX};q=0.0, {OCI_MANIFEST}", OCI_INDEX, False),
        (OCI_INDEX.upper(), OCI_INDEX, True),
        (f"{OCI_MANIFEST} , {OCI_INDEX} ; charset=utf-8", OCI_INDEX, True),
        ("text/*", OCI_INDEX, False),
        ("x/y," * 5000 + OCI_INDEX, OCI_INDEX, True),
        ("x/y," * 5000, OCI_INDEX, False),
    ],
)
def test_accept_is_read_as_http_has_it(accept: str | None, media_type: str, expected: bool) -> None:
    assert takes(accept, media_type) == expected


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"{}",
        encoded(manifests=7),
        encoded(manifests=[7, None, {}, {"platform": 7}]),
        encoded(manifests=[{"platform": {"os": "linux", "architecture": "amd64"}}]),
        index_over(OCI_INDEX, AMD64, DOCKER_LIST),
        index_over(OCI_INDEX, AMD64, DOCKER_MANIFEST).replace(b"sha256:", b"md5:"),
    ],
)
def test_an_index_without_a_fitting_image_stays_as_it_is(index: bytes) -> None:
    assert image_instead(index, OCI_INDEX, IMAGES_ONLY) is None


@pytest.mark.parametrize(
    "content",
    [
        {"schemaVersion": 1, "name": "library/old", "tag": "1", "fsLayers": [], "signatures": []},
        {"schemaVersion": 1, "mediaType": PLAIN, "fsLayers": []},
    ],
)
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_schema_1_that_another_registry_stored_is_refused_in_plain_words(
    front: Stage, content: dict[str, Any], by: str
) -> None:
    digest = front.store_manifest("library/old", json.dumps(content).encode(), "1")
    answer = front.ask(f"/v2/library/old/manifests/{digest if by == 'digest' else '1'}")
    assert (answer.status, error_code(answer)) == (404, "MANIFEST_UNKNOWN")
    assert "schema 1" in json.loads(answer.body)["errors"][0]["message"]
