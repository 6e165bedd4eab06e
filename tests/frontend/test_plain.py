"""What is read in one step is read as gunicorn's parser reads it, and nothing else is."""

from typing import Any, cast

import hypothesis.strategies as st
import pytest
from gunicorn.asgi.parser import CallbackRequest, PythonProtocol
from hypothesis import example, given

from frontend import heads
from frontend.plain import Requests
from frontend.targets import NotPlain, Targets

PATH = "/v2/library/a/manifests/1"
OCI = "application/vnd.oci.image.manifest.v1+json"


class Anything:
    """Takes each path and query for a target."""

    def of(self, path: str, query: bytes) -> tuple[str, bytes]:
        return path, query


REQUESTS = Requests(cast("Targets", Anything()))


def head(*fields: str, line: str = f"GET {PATH} HTTP/1.1") -> bytes:
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1")


def read(data: bytes) -> Any:
    """None where it is left to gunicorn."""
    try:
        return REQUESTS.read(data)
    except NotPlain:
        return None


DOCKER = [
    "Host: mirror:5000",
    "User-Agent: docker/28.0.1 go/go1.23.6 kernel/6.8.0 (linux) UpstreamClient(Docker\\(linux\\))",
    f"Accept: {OCI}",
    "Accept: */*",
    "Accept-Encoding: gzip",
]
CONTAINERD = ["Host: mirror", "User-Agent: containerd/2.0.4", f"Accept: {OCI}, */*"]
PROXIED = ["Host: a", "X-Forwarded-For: 10.0.0.7", "X-Forwarded-Proto: https", "Via: 1.1 b"]


@pytest.mark.parametrize(
    ("fields", "accept"),
    [
        (DOCKER, f"{OCI},*/*"),
        (CONTAINERD, f"{OCI}, */*"),
        (PROXIED, None),
        (["Host: a", "Connection: Keep-Alive", "Accept:"], ""),
        (["host:a", "ACCEPT:  b "], "b"),
    ],
)
def test_what_clients_send_is_plain(fields: list[str], accept: str | None) -> None:
    expected = None if accept is None else accept.encode()
    assert read(head(*fields)) == ("GET", (PATH, b""), expected)
    scoped = head(*fields, line=f"HEAD {PATH}?ns=ghcr.io HTTP/1.1")
    assert read(scoped) == ("HEAD", (PATH, b"ns=ghcr.io"), expected)


ODD_FIELDS = [
    "Authorization: Basic YTpi",
    "Connection: close",
    "Connection: Upgrade",
    "Content-Length: 0",
    "Content-Type: a/b",
    "Cookie: a=b",
    "Expect: 100-continue",
    "Host: b",
    "If-None-Match: *",
    "If-Range: a",
    "Range: bytes=0-1",
    "TE: trailers",
    "Transfer-Encoding: chunked",
    "Upgrade: h2c",
    "X-Forwarded-Ssl: off",
    "X: \xe9",
    "X: a\tb",
    "X: a\nY: b",
    "X_Y: a",
    "X Y: a",
    "X : a",
    " X: a",
    ": a",
    "X",
    "X: " + "x" * 2000,
    "\r\nGET / HTTP/1.1",
]


@pytest.mark.parametrize("field", ODD_FIELDS)
def test_what_says_more_is_left_to_gunicorn(field: str) -> None:
    assert read(head("Host: a", "Accept: b")) is not None
    assert read(head("Host: a", field, "Accept: b")) is None
    assert read(head("Host: a", "Accept: b", field)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        head("Accept: b"),
        head("Host: a")[:-1],
        head("Host: a")[:-2],
        head("Host: a") + b"x",
        head("Host: a") * 2,
        b"\r\n" + head("Host: a"),
        head("Host: a").replace(b"\r\n", b"\n"),
        head("Host: a", *(f"X-{number}: x" for number in range(64))),
        *(
            head("Host: a", line=line)
            for line in (
                f"POST {PATH} HTTP/1.1",
                f"get {PATH} HTTP/1.1",
                f"GET {PATH} HTTP/1.0",
                f"GET {PATH} HTTP/1.1 ",
                f"GET  {PATH} HTTP/1.1",
                f"GET {PATH}",
                "GET http://a/v2/ HTTP/1.1",
                "GET /v2/%61/blobs/x HTTP/1.1",
                "GET /v2/\xe9/blobs/x HTTP/1.1",
                "GET /v2/a b HTTP/1.1",
                "GET /v2/a\tb HTTP/1.1",
                "GET /v2/?a\xe9 HTTP/1.1",
                "GET * HTTP/1.1",
            )
        ),
    ],
)
def test_what_is_no_one_plain_request_is_left_to_gunicorn(data: bytes) -> None:
    assert read(data) is None


FIELDS = st.sampled_from([*DOCKER, *CONTAINERD, *PROXIED, "Connection: keep-alive", *ODD_FIELDS])
TEXT = st.text(st.characters(max_codepoint=255), max_size=4)
LINES = st.one_of(
    st.just(f"GET {PATH} HTTP/1.1"),
    st.builds("{} /{}{} HTTP/1.{}".format, st.sampled_from(["GET", "HEAD"]), TEXT, TEXT, TEXT),
)


@given(LINES, st.lists(FIELDS | st.builds("{}:{}".format, TEXT, TEXT), max_size=5), TEXT)
@example(f"HEAD {PATH}?ns=b HTTP/1.1", DOCKER, "")
def test_what_is_plain_is_the_same_to_gunicorn(line: str, fields: list[str], tail: str) -> None:
    data = head("Host: a", *fields, line=line) + tail.encode("latin-1")
    plain = read(data)
    if plain is None:
        return
    parser = PythonProtocol()
    parser.feed(data)
    request = CallbackRequest.from_parser(parser)
    heads.settle(request)
    method, (path, query), accept = plain
    assert (method, path, query.decode()) == (request.method, request.path, request.query)
    assert request.raw_path == path.encode()
    accepts = [value for name, value in request.headers_bytes if name == b"accept"]
    assert accept == (b",".join(accepts) if accepts else None)
    assert (parser.is_complete, parser.remaining()) == (True, b"")
    assert (request.content_length, request.chunked, request.should_close()) == (0, False, False)
