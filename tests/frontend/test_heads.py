"""Requests' heads, by gunicorn's own parser."""

import pytest
from gunicorn.asgi.parser import CallbackRequest, ParseError, PythonProtocol

from frontend import heads


def settled(head: str) -> CallbackRequest:
    parser = PythonProtocol()
    parser.feed(f"{head}\r\n\r\n".encode())
    request = CallbackRequest.from_parser(parser)
    heads.settle(request)
    return request


def test_the_host_in_a_target_goes_before_the_headers() -> None:
    request = settled("GET http://me:p@a:5000/v2/%61/?n=1 HTTP/1.1\r\nAccept: b\r\nHost: b")
    assert (request.path, request.raw_path, request.query) == ("/v2/a/", b"/v2/%61/", "n=1")
    assert request.headers_bytes == [(b"accept", b"b"), (b"host", b"a:5000")]


def test_a_path_is_left_as_it_is() -> None:
    request = settled("GET /v2/http://a/ HTTP/1.1\r\nHost: b")
    assert (request.path, request.headers_bytes) == ("/v2/http://a/", [(b"host", b"b")])


@pytest.mark.parametrize("target", ["/", "http://a/"])
def test_the_newer_protocol_needs_a_host_header(target: str) -> None:
    with pytest.raises(ParseError, match="Host"):
        settled(f"GET {target} HTTP/1.1\r\nAccept: b")
    settled(f"GET {target} HTTP/1.0\r\nAccept: b")
