"""What is stored and served: only verified bytes, only to whom the upstream would give them."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.errors import UpstreamError
from common.messages import Kind
from common.reference import RepositoryName, Tag
from fetcher.taglists import LIST_BYTES
from tests.fetcher.client import BLOB, REPOSITORY, fetched, upstream
from tests.fetcher.recording import Reply, Seen, serving
from tests.parts.counting import Upstream as Registry
from tests.parts.faults import Corrupt, HoldBody
from tests.parts.folders import names_below
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

PRIVATE, PUBLIC = "private/app", "public/app"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": []}).encode()
MIB = 1 << 20


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Cluster]]:
    folder = tmp_path_factory.mktemp("content") / "cache"
    settings = {"attempts": 2}
    with Registry() as server, cluster(folder, server.url, fetcher=settings) as running:
        yield server, running


@pytest.fixture
def registry(machine: tuple[Registry, Cluster]) -> Iterator[Registry]:
    """What every test finds as it was at first, but for content: each has its own."""
    yield machine[0]
    machine[0].heal()


@pytest.fixture
def cache(machine: tuple[Registry, Cluster]) -> Cluster:
    return machine[1]


def blob(name: str) -> bytes:
    """Content that no other test has."""
    return name.encode() + BLOB


def manifest(name: str) -> bytes:
    """The same for a manifest."""
    annotated = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [], "annotations": {}}
    return json.dumps({**annotated, "annotations": {"name": name}}).encode()


def test_cve_2024_39897_a_blob_cached_for_one_repository_is_not_given_to_another(
    registry: Registry, cache: Cluster
) -> None:
    secret = registry.add_blob(PRIVATE, blob("1"))
    registry.add_blob(PUBLIC, b"something else")
    assert cache.blob(PRIVATE, secret).status == 200
    cache.until_committed(secret)
    assert cache.blob(PUBLIC, secret).status == 404
    assert cache.get(f"/v2/{PUBLIC}/blobs/{secret}", "HEAD").status == 404
    assert cache.blob("nobody/knows", secret).status == 404


def test_cve_2024_39897_a_manifest_cached_for_one_repository_is_not_given_to_another(
    registry: Registry, cache: Cluster
) -> None:
    secret = registry.add_manifest(PRIVATE, "t2", manifest("2"), MANIFEST_TYPE)
    registry.add_blob(PUBLIC, b"something else")
    assert cache.get(f"/v2/{PRIVATE}/manifests/t2").status == 200
    assert cache.get(f"/v2/{PUBLIC}/manifests/{secret}").status == 404
    # Nor as what it is not.
    assert cache.get(f"/v2/{PUBLIC}/blobs/{secret}").status == 404


def test_cve_2024_39897_nor_while_it_is_being_downloaded(
    registry: Registry, cache: Cluster
) -> None:
    secret = registry.add_blob(PRIVATE, blob("3"))
    registry.add_blob(PUBLIC, b"something else")
    held = HoldBody(after=1000)
    registry.fail("*/blobs/*", held)
    with cache_client(cache, PRIVATE, secret):
        assert held.reached.wait(20)
        # Ours says 404, and the held answer would be 200.
        assert cache.get(f"/v2/{PUBLIC}/blobs/{secret}", "HEAD").status == 404
        held.release()
        until(lambda: Path(cache.layout.blob(secret)).exists(), 20)
        assert cache.blob(PUBLIC, secret).status == 404


def cache_client(cache: Cluster, repository: str, digest: Digest) -> "subprocess.Popen[bytes]":
    """A client that pulls, in a process of its own."""
    url = f"http://{cache.host}/v2/{repository}/blobs/{digest}"
    code = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"
    return subprocess.Popen([sys.executable, "-c", code, url])


def test_cve_2026_35172_what_was_removed_is_not_found_again_through_another_repository(
    registry: Registry, cache: Cluster
) -> None:
    digest = registry.add_blob(PRIVATE, blob("4"))
    registry.add_blob(PUBLIC, blob("4"))
    assert cache.blob(PRIVATE, digest).status == 200
    assert cache.blob(PUBLIC, digest).status == 200
    # Before that the link may not be there yet, or be written again.
    cache.until_committed(digest)
    registry.content.remove(PRIVATE, digest)
    Path(cache.layout.link(Kind.LAYER, RepositoryName(PRIVATE), digest)).unlink()
    assert cache.blob(PRIVATE, digest).status == 404
    assert cache.blob(PUBLIC, digest).status == 200


def test_dart_6_wrong_bytes_are_never_stored_under_a_digest(
    registry: Registry, cache: Cluster
) -> None:
    digest = registry.add_blob(PUBLIC, blob("5"))
    registry.fail("*/blobs/*", Corrupt(at=len(blob("5")) - 1))
    got = cache.blob(PUBLIC, digest)
    assert got.cut or got.status >= 500
    assert not Path(cache.layout.blob(digest)).exists()
    registry.heal()
    assert until(lambda: cache.blob(PUBLIC, digest).body == blob("5"), 20)


def test_dart_6_a_wrong_manifest_is_never_stored_under_a_digest(
    registry: Registry, cache: Cluster
) -> None:
    digest = registry.add_manifest(PUBLIC, "t6", manifest("6"), MANIFEST_TYPE)
    registry.fail("*/manifests/*", Corrupt(at=3))
    assert cache.get(f"/v2/{PUBLIC}/manifests/{digest}").status == 502
    assert cache.get(f"/v2/{PUBLIC}/manifests/t6").status == 502
    assert not Path(cache.layout.blob(digest)).exists()


def endless(declared: str | None, status: int = 200, **headers: str) -> Reply:
    """A body that goes on for as long as anybody reads; 64 MiB are for ever here."""
    told = {"Content-Length": declared} if declared else {"Content-Length": str(64 * MIB)}
    return Reply(status, b" " * (64 * MIB), {**told, **headers})


@pytest.mark.parametrize("declared", [None, str(10**15), str(64 * MIB)])
def test_ghsa_f36w_mj3v_6jqv_a_manifest_is_read_up_to_4_mib(declared: str | None) -> None:
    with serving(lambda _: endless(declared)) as server, upstream(server.url) as client:
        before = peak_memory()
        with pytest.raises(UpstreamError, match="more than 4194304 bytes"):
            client.manifest(REPOSITORY, Tag("latest"))
        # The other side's 64 MiB are in this process too, and were before.
        assert peak_memory() - before < 100 * MIB


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_ghsa_f36w_mj3v_6jqv_a_token_reply_is_read_up_to_1_mib() -> None:
    def registry(seen: Seen) -> Reply:
        if seen.path == "/token":
            padded = b'{"token": "t"' + b" " * MIB + b"}"
            return Reply(200, padded)
        if seen.headers.get("authorization"):
            return Reply(body=BLOB)
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})

    with (
        serving(registry) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="makes no sense"),
    ):
        fetched(client)


def refused_with(message: str) -> str:
    """The text of the error that a registry's refusal with `message` becomes."""
    body = json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()
    with serving(lambda _: Reply(500, body)) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError) as caught:
            fetched(client)
        return str(caught.value)


def test_ghsa_f36w_mj3v_6jqv_an_error_body_is_read_up_to_8_kib() -> None:
    assert "DENIED" in refused_with("no")
    assert "DENIED" not in refused_with("word " * 100_000)


def test_ghsa_f36w_mj3v_6jqv_little_of_an_errors_text_is_repeated() -> None:
    assert len(refused_with("word " * 1000)) < 500


def test_ghsa_f36w_mj3v_6jqv_a_list_of_tags_is_bounded() -> None:
    page = json.dumps({"name": REPOSITORY, "tags": ["t" * 100] * 50_000}).encode()

    def registry(seen: Seen) -> Reply:
        # Always one more.
        following = f"{server.url}{seen.path}?last={len(server.seen)}"
        return Reply(200, page, {"Link": f'<{following}>; rel="next"'})

    with serving(registry) as server, upstream(server.url) as client:
        found = client.tags(REPOSITORY)
        read = len(server.seen) * len(page)
    # What was read so far is served, and that it is not all.
    assert not found.whole
    assert read < LIST_BYTES + 2 * len(page)


def test_a_compressed_body_is_not_unpacked() -> None:
    def registry(_: Seen) -> Reply:
        return Reply(200, b"\x1f\x8b" + b"\0" * 1000, {"Content-Encoding": "gzip"})

    with (
        serving(registry) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="content encoding"),
    ):
        client.manifest(REPOSITORY, Tag("latest"))


@pytest.mark.parametrize(
    "media_type", ["text/x\r\nSet-Cookie: stolen=1", "a/b\nX: y", "a\0b", "ü/x"]
)
def test_a_manifest_cannot_put_headers_into_our_answers(
    registry: Registry, cache: Cluster, media_type: str
) -> None:
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type}).encode()
    digest = registry.add_manifest(PUBLIC, "v1", body, "application/json")
    got = cache.get(f"/v2/{PUBLIC}/manifests/{digest}")
    assert "set-cookie" not in got.headers
    assert "x" not in got.headers
    assert re.fullmatch(r"[!-~]+", got.headers["content-type"])


def evil(folder: Path) -> list[str]:
    return [name for name in names_below(folder) if name.startswith("evil")]


def test_tags_that_are_no_tags_never_become_paths(registry: Registry, cache: Cluster) -> None:
    digest = registry.add_manifest("tagged/app", "t8", manifest("8"), MANIFEST_TYPE)
    tags = registry.content.repositories["tagged/app"].tags
    for hostile in ("../../../../evil", "a/b", "", ".", "x" * 200, "a\nb"):
        tags[hostile] = digest
    listed = json.loads(cache.get("/v2/tagged/app/tags/list").body)
    assert listed["tags"] == ["t8"]
    assert not evil(cache.folder)


def test_a_hostile_digest_header_is_not_believed(tmp_path: Path) -> None:
    told = ["sha256:../../../evil", "sha256:" + "g" * 64, "x" * 10_000]

    def registry(seen: Seen) -> Reply:
        digest = told[int(seen.path[-1])]
        headers = {"Content-Type": MANIFEST_TYPE, "Docker-Content-Digest": digest}
        return Reply(200, MANIFEST, headers)

    with serving(registry) as server, cluster(tmp_path / "cache", server.url) as cache:
        for number in range(len(told)):
            got = cache.get(f"/v2/{PUBLIC}/manifests/v{number}")
            assert got.headers["docker-content-digest"] == Digest.of(MANIFEST)
        assert not evil(tmp_path)
