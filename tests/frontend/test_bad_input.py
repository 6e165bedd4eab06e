"""Whatever a client sends: a 4xx in the specification's JSON, and nothing outside the root."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontend.stage import Stage, stage

SHA = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "secret").write_text("outside the root")
    with stage(folder / "root") as opened:
        yield opened


def send(front: Stage, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def get(target: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: cache", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (f"/v2/../../secret/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/a/../b/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/%2e%2e/%2e%2e/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/..%2f..%2fsecret/blobs/{SHA}", 404, "NAME_UNKNOWN"),
        (f"/v2/a//b/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2//blobs/{SHA}", 404, "NAME_UNKNOWN"),
        (f"/v2/UPPER/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/a%00b/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/a%0d%0ab/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/%ff%fe/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/{'a' * 256}/blobs/{SHA}", 400, "NAME_INVALID"),
        (f"/v2/{'a/' * 127}aa/blobs/{SHA}", 400, "NAME_INVALID"),
        ("/v2/a/blobs/sha256:../../../../secret", 404, "NAME_UNKNOWN"),
        ("/v2/a/blobs/sha256:%2e%2e%2f%2e%2e%2fsecret", 404, "NAME_UNKNOWN"),
        ("/v2/a/blobs/sha256:" + "A" * 64, 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/sha256:" + "0" * 63, 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/sha512:" + "0" * 64, 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/md5:" + "0" * 32, 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/latest", 400, "DIGEST_INVALID"),
        ("/v2/a/manifests/sha256:zz", 400, "DIGEST_INVALID"),
        ("/v2/a/manifests/.hidden", 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/-dash", 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/" + "t" * 129, 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/a%2fb", 404, "NAME_UNKNOWN"),
        ("/v2/a/manifests/", 404, "NAME_UNKNOWN"),
        ("/v2/a/tags/list?n=-1", 400, "UNSUPPORTED"),
        ("/v2/a/tags/list?n=many", 400, "UNSUPPORTED"),
        ("/v2/a/tags/list?n=" + "9" * 40, 400, "UNSUPPORTED"),
        ("/v2/a/tags", 404, "NAME_UNKNOWN"),
        ("/v1/search", 404, "NAME_UNKNOWN"),
        ("/etc/passwd", 404, "NAME_UNKNOWN"),
        ("/v2/" + "x" * 8000, 404, "NAME_UNKNOWN"),
        ("/v2/" + "x" * 9000, 414, "NAME_INVALID"),
    ],
)
def test_a_wrong_path_is_a_clear_4xx(front: Stage, target: str, status: int, code: str) -> None:
    answered, body = send(front, get(target))
    assert (answered, json.loads(body)["errors"][0]["code"]) == (status, code)
    assert b"outside the root" not in body


@pytest.mark.parametrize("method", ["FOO", "CONNECT", "TRACE", "PROPFIND", "WEBSOCKET", "get"])
@pytest.mark.parametrize("target", ["/v2/", f"/v2/a/blobs/{SHA}"])
def test_a_nonsense_method_is_a_4xx(front: Stage, method: str, target: str) -> None:
    status, body = send(front, get(target, method=method))
    assert 400 <= status < 500
    assert json.loads(body)["errors"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET http://a/v2/ HTTP/1.1\r\nConnection: close\r\n\r\n",
        get("http:///v2/"),
        get("ftp://a/v2/"),
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        get("/v2/", "Content-Length: 5", "Transfer-Encoding: chunked"),
        get("/v2/", "Transfer-Encoding: cobbled"),
        get("/v2/", "Content-Length: -1"),
        get("/v2/", "X-Long: " + "x" * 40000),
        get("/v2/", *(f"X-{number}: x" for number in range(200))),
    ],
)
def test_what_is_no_proper_request_is_a_4xx(front: Stage, request_bytes: bytes) -> None:
    status, body = send(front, request_bytes)
    assert 400 <= status < 500
    assert json.loads(body)["errors"]


def test_what_comes_without_a_host_by_the_older_protocol_is_served(front: Stage) -> None:
    assert send(front, b"GET /v2/ HTTP/1.0\r\n\r\n")[0] == 200


@pytest.mark.parametrize("origin", ["http://a", "HTTPS://a:5000", "http://user@[::1]"])
@pytest.mark.parametrize("path", ["", "/v2/", "/v2/_catalog?n=1"])
def test_a_target_in_absolute_form_is_a_path(front: Stage, origin: str, path: str) -> None:
    assert send(front, get(origin + path))[0] == 200


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
@pytest.mark.parametrize("origin", ["", "http://a"])
def test_an_escaped_slash_is_none(front: Stage, slash: str, origin: str) -> None:
    digest = front.store_blob("org/app", b"content")
    front.store_manifest("org/app", b'{"schemaVersion":2}', "v1")
    whole = f"/v2/org/app/blobs/{digest}"
    assert send(front, get(origin + whole))[0] == 200
    assert send(front, get(f"{origin}/v2/org/app/manifests/v1"))[0] == 200
    for path in (
        whole.replace("org/app", f"org{slash}app"),
        whole.replace("/sha", f"{slash}sha"),
        f"/v2/org{slash}app/manifests/v1",
        f"/v2/org/app{slash}manifests/v1",
    ):
        assert send(front, get(origin + path))[0] == 404
    assert send(front, get(f"{origin}{whole.replace(':', '%3A')}"))[0] == 200


WEBSOCKET = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]


@pytest.mark.parametrize("key", ["dGhlIHNhbXBsZSBub25jZQ==", "short"])
@pytest.mark.parametrize(
    ("target", "status"), [("/v2/", 200), (f"/v2/a/blobs/{SHA}x", 400), ("/nothing", 404)]
)
def test_a_websocket_is_not_opened(front: Stage, target: str, status: int, key: str) -> None:
    lines = [f"GET {target} HTTP/1.1", "Host: a", *WEBSOCKET, f"Sec-WebSocket-Key: {key}"]
    request = "\r\n".join([*lines, "", ""]).encode()
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())
        connection.sendall(request)
        assert connection.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    ("headers", "line"),
    [(["Range: bytes=9-"], b"416 Range Not Satisfiable"), (["Host: b"], b"400 Bad Request")],
)
def test_a_status_is_called_as_the_standard_has_it(
    front: Stage, headers: list[str], line: bytes
) -> None:
    digest = front.store_blob("org/app", b"content")
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(get(f"/v2/org/app/blobs/{digest}", *headers))
        assert connection.recv(65536).startswith(b"HTTP/1.1 " + line + b"\r\n")


@pytest.mark.parametrize(
    "header",
    [
        "If-None-Match: " + '"' * 300,
        "If-Range: \xff",
        "Range: bytes=" + "1-2," * 500,
        "Accept: " + "a/b," * 1000,
        "Content-Type: nonsense",
        "Expect: 100-continue",
    ],
)
def test_odd_headers_do_no_harm(front: Stage, header: str) -> None:
    status, _body = send(front, get("/v2/", header))
    assert status == 200


def test_an_unknown_ns_among_named_upstreams_is_404(tmp_path: Path) -> None:
    upstreams = [{"name": "ghcr.io", "remoteurl": "http://127.0.0.1:1"}]
    proxy = {"remoteurl": "http://127.0.0.1:1", "upstreams": upstreams}
    with stage(tmp_path / "root", proxy=proxy) as front:
        digest = front.store_blob("ghcr.io/org/app", b"content")
        assert front.ask(f"/v2/org/app/blobs/{digest}?ns=evil.example").status == 404
        scoped = front.ask(f"/v2/org/app/blobs/{digest}?ns=ghcr.io")
        assert (scoped.body, scoped.headers["oci-namespace"]) == (b"content", "ghcr.io")
        assert front.ask(f"/v2/ghcr.io/org/app/blobs/{digest}").body == b"content"
