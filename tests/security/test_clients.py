"""What a hostile client can try with well-formed requests."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.reference import RepositoryName, Tag
from common.source import Source
from entrepot.configuration import read
from tests.frontend.stage import Stage, stage
from tests.security.hostile import files_below

REPOSITORY = "library/app"
MANIFEST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("front") / "root", frontend={"patience": "1s"}) as opened:
        yield opened


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST", "PATCH"])
@pytest.mark.parametrize("tag", ["v1", "delete", "latest", "_catalog", "uploads"])
def test_ghsa_qg67_7m6v_qg25_nothing_is_written_or_deleted_whatever_the_name(
    front: Stage, method: str, tag: str
) -> None:
    """The same as CVE-2026-31801: what is allowed depended on what a tag was called."""
    digest = front.store_manifest(REPOSITORY, MANIFEST, tag)
    layer = front.store_blob(REPOSITORY, b"layer")
    before = files_below(front.root / "docker")
    paths = [
        f"manifests/{tag}",
        f"manifests/{digest}",
        f"blobs/{layer}",
        "blobs/uploads/",
        f"blobs/uploads/?digest={layer}&mount={layer}&from={REPOSITORY}",
        "blobs/uploads/1f0e6a9c",
        "tags/list",
    ]
    for path in paths:
        answer = front.ask(f"/v2/{REPOSITORY}/{path}", method)
        assert answer.status == 405
        assert json.loads(answer.body)["errors"][0]["code"] == "UNSUPPORTED"
    assert files_below(front.root / "docker") == before


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_ghsa_qg67_7m6v_qg25_a_header_does_not_change_the_method(front: Stage, header: str) -> None:
    digest = front.store_manifest(REPOSITORY, MANIFEST, "v1")
    answer = front.ask(f"/v2/{REPOSITORY}/manifests/v1", "GET", {header: "DELETE"})
    assert (answer.status, answer.headers["docker-content-digest"]) == (200, digest)
    assert front.ask(f"/v2/{REPOSITORY}/manifests/v1").status == 200


@pytest.mark.parametrize("number", ["1000000000", "9" * 19, "9" * 5000, "-1", "1e9", "0x7fffffff"])
def test_cve_2023_2253_the_page_size_asked_for_is_no_reason_to_allocate(
    front: Stage, number: str
) -> None:
    tags = [Tag(f"v{each:05}") for each in range(1500)]
    source = Source("", RepositoryName(REPOSITORY))
    front.tag_lists.write(source.stored, tags)
    began = time.monotonic()
    answer = front.ask(f"/v2/{REPOSITORY}/tags/list?n={number}")
    assert time.monotonic() - began < 20
    assert answer.status in {200, 400}
    if answer.status == 200:
        assert len(json.loads(answer.body)["tags"]) == 1000


def test_cve_2026_4404_there_is_no_account_to_begin_with() -> None:
    config = read(None, {"HOME": "/home/somebody"}).config
    assert all(not upstream.username for upstream in config.proxy.upstreams.values())
    assert all(not upstream.password for upstream in config.proxy.upstreams.values())


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 6", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 6"),
        ("Content-Length: 6", "Content-Length: 7"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        (" Content-Length: 6",),
        ("Content-Length: +6",),
    ],
)
def test_a_request_whose_end_is_doubtful_hides_no_second_request(
    front: Stage, framing: tuple[str, ...]
) -> None:
    hidden = f"GET /v2/{REPOSITORY}/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    head = "\r\n".join(["GET /v2/ HTTP/1.1", "Host: cache", *framing])
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(f"{head}\r\n\r\n0\r\n\r\n{hidden}".encode())
        answers = b""
        while part := connection.recv(65536):
            answers += part
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("namespace", ["a%0d%0aSet-Cookie:%20stolen=1", "a%0aX:%20y", "%00", "%ff"])
def test_a_namespace_cannot_put_headers_into_our_answers(front: Stage, namespace: str) -> None:
    digest = front.store_blob(REPOSITORY, b"layer")
    answer = front.ask(f"/v2/{REPOSITORY}/blobs/{digest}?ns={namespace}")
    assert "set-cookie" not in answer.headers
    assert "x" not in answer.headers
    assert answer.status < 500


def test_what_stands_beside_the_cached_files_is_not_served(front: Stage) -> None:
    outside = front.root.parent / "outside"
    outside.write_bytes(b"outside the root")
    digest = Digest.of(b"outside the root")
    for folder in ("..", "%2e%2e", "..%2f..", "%252e%252e", "....//", "..\\..", "/etc"):
        for path in (f"/v2/{folder}/blobs/{digest}", f"/v2/x/{folder}/outside/manifests/v1"):
            answer = front.ask(path)
            assert 400 <= answer.status < 500
            assert b"outside the root" not in answer.body


def test_a_link_out_of_the_folder_is_not_followed_to_other_content(front: Stage) -> None:
    """Whoever can write into a link's file chooses a digest, never a path."""
    digest = front.store_manifest(REPOSITORY, MANIFEST, "v2")
    link = next(Path(front.root).rglob("tags/v2/current/link"))
    link.write_text("sha256:../../../../../outside")
    assert front.ask(f"/v2/{REPOSITORY}/manifests/v2").status in {404, 503}
    assert front.ask(f"/v2/{REPOSITORY}/manifests/{digest}").status == 200
