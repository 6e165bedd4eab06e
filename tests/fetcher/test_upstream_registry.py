"""Against Debian's docker-registry (distribution 2.8), the real thing."""

import json
from collections.abc import Iterator

import pytest
import requests

from common.digest import Digest
from common.errors import UpstreamError
from common.reference import RepositoryName, Tag
from fetcher.upstream import Upstream
from tests.fetcher.client import BLOB, DIGEST, REPOSITORY, TAG, fetched, upstream
from tests.parts.process import Process, free_port
from tests.parts.registry import Registry

IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
ABSENT = Digest.of(b"absent")

# mary:secret, by bcrypt at its lowest cost.
HTPASSWD = "mary:$2b$04$E94qKwUjxtBpqunhpG5QTu.5RaSIfTr8/evDK/fCeKsyHlN2iRP/q\n"


def push_blob(url: str, body: bytes) -> Digest:
    begun = requests.post(f"{url}/v2/{REPOSITORY}/blobs/uploads/", timeout=10)
    begun.raise_for_status()
    digest = Digest.of(body)
    requests.put(
        begun.headers["Location"], body, params={"digest": digest}, timeout=30
    ).raise_for_status()
    return digest


def push_manifest(url: str, config: Digest, layer: Digest) -> bytes:
    def descriptor(kind: str, digest: Digest, size: int) -> dict[str, object]:
        media_type = f"application/vnd.docker.{kind}"
        return {"mediaType": media_type, "digest": digest, "size": size}

    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": descriptor("container.image.v1+json", config, 2),
            "layers": [descriptor("image.rootfs.diff.tar.gzip", layer, len(BLOB))],
        }
    ).encode()
    for tag in ("latest", "3.20", "edge"):
        requests.put(
            f"{url}/v2/{REPOSITORY}/manifests/{tag}",
            body,
            headers={"Content-Type": IMAGE},
            timeout=10,
        ).raise_for_status()
    return body


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bytes]]:
    """The URL of a registry with an image in it, and the image's manifest."""
    with Registry(tmp_path_factory.mktemp("upstream") / "storage") as registry:
        config, layer = push_blob(registry.url, b"{}"), push_blob(registry.url, BLOB)
        yield registry.url, push_manifest(registry.url, config, layer)


@pytest.fixture
def client(pushed: tuple[str, bytes]) -> Iterator[Upstream]:
    with upstream(pushed[0]) as opened:
        yield opened


def test_a_blob_is_had_whole_and_from_the_middle(client: Upstream) -> None:
    assert client.head_blob(REPOSITORY, DIGEST) == len(BLOB)
    assert fetched(client) == BLOB
    with client.open_blob(REPOSITORY, DIGEST, offset=777_777, total=len(BLOB)) as stream:
        assert (stream.offset, stream.total) == (777_777, len(BLOB))
        assert b"".join(stream.chunks()) == BLOB[777_777:]


def test_a_range_beyond_the_end_begins_anew(client: Upstream) -> None:
    with client.open_blob(REPOSITORY, DIGEST, offset=len(BLOB) + 5) as stream:
        assert stream.offset == 0
        assert b"".join(stream.chunks()) == BLOB


def test_a_manifest_is_had_by_tag_and_digest(client: Upstream, pushed: tuple[str, bytes]) -> None:
    by_tag = client.manifest(REPOSITORY, TAG)
    assert (by_tag.body, by_tag.media_type) == (pushed[1], IMAGE)
    assert client.manifest(REPOSITORY, by_tag.digest) == by_tag


def test_a_tag_is_revalidated(client: Upstream, pushed: tuple[str, bytes]) -> None:
    digest = Digest.of(pushed[1])
    assert client.head_manifest(REPOSITORY, TAG) == digest
    assert client.head_manifest(REPOSITORY, TAG, digest) == digest
    assert client.head_manifest(REPOSITORY, TAG, ABSENT) == digest


def test_tags_are_listed(client: Upstream) -> None:
    assert sorted(client.tags(REPOSITORY).tags) == ["3.20", "edge", "latest"]


def test_what_is_absent_is_404_by_its_kind(client: Upstream) -> None:
    for ask, code in (
        (lambda: client.head_blob(REPOSITORY, ABSENT), "BLOB_UNKNOWN"),
        (lambda: client.open_blob(REPOSITORY, ABSENT), "BLOB_UNKNOWN"),
        (lambda: client.manifest(REPOSITORY, ABSENT), "MANIFEST_UNKNOWN"),
        (lambda: client.head_manifest(REPOSITORY, Tag("absent")), "MANIFEST_UNKNOWN"),
        (lambda: client.tags(RepositoryName("absent")), "NAME_UNKNOWN"),
    ):
        with pytest.raises(UpstreamError) as caught:
            ask()
        error = caught.value
        assert (error.status, error.code, error.retryable) == (404, code, False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty registry that only mary may use."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "htpasswd").write_text(HTPASSWD)
    port = free_port()
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))
    argv = ["docker-registry", "serve", str(folder / "config.yml")]
    process = Process(argv, log=folder / "log")
    try:
        process.until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("credentials", "status"),
    [({"username": "mary", "password": "secret"}, 404), ({"username": "mary"}, 403), ({}, 403)],
)
def test_a_password_opens_a_guarded_registry_and_nothing_else_does(
    guarded: str, credentials: dict[str, str], status: int
) -> None:
    with upstream(guarded, **credentials) as client, pytest.raises(UpstreamError) as caught:
        client.manifest(REPOSITORY, TAG)
    assert caught.value.status == status
