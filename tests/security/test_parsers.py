"""Every parser that touches what others send: any text gives a value in its bounds, or its own error."""

import json
import math
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.digest import Digest, parse_digest
from common.errors import InvalidDigest, InvalidName, InvalidTag, UndecodableMessage, UpstreamError
from common.mediatypes import media_type_of
from common.messages import _Wire, decode_event, decode_message, encode
from common.paths import Layout
from common.reference import RepositoryName, Tag
from fetcher import pages
from fetcher.answers import MAX_RETRY_AFTER, printable, retry_after
from fetcher.challenge import parse_challenges
from fetcher.origin import Origin
from fetcher.ranges import _CONTENT_RANGE
from fetcher.realm import check_realm
from fetcher.redirects import Answer
from fetcher.tokens import _read as read_token
from frontend.callers import SCOPE, Callers
from frontend.naming import Naming
from frontend.ranges import UnsatisfiableRange, requested_span

MANY = settings(max_examples=300, deadline=None)
LAYOUT = Layout("/the/storage")

# Text as attackers write it: pieces of the grammar, what has a meaning elsewhere, and anything.
PIECES = st.sampled_from(
    ["..", "/", "//", "\\", "%2e", "%2f", "\0", "\r\n", " ", ":", "@", "sha256:", "0" * 64, "a" * 300,
     "_layers", "_manifests", "library", "bytes=", "-", ",", "=", '"', "\\", "<", ">", ";", "rel=next",
     "Bearer", "realm=", "http://", "https://", "[::1]", "127.0.0.1", "\u0130", "\u2028", "\ud800",
     "9" * 30, "1e400", "NaN", "{", "}", "[" * 500, "\uff21", "\ufb00"]
)  # fmt: skip
HOSTILE = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=12).map("".join))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4),
    max_leaves=12,
)


def is_inside(path: str) -> bool:
    return path.startswith("/the/storage/") and ".." not in path.split("/") and "\0" not in path


@MANY
@given(HOSTILE)
@example("a/../b")
@example("library/_layers")
@example("a\n")
def test_a_name_is_refused_or_stays_inside_the_root(text: str) -> None:
    try:
        name = RepositoryName(text)
    except InvalidName:
        return
    assert name == text
    assert text.isascii()
    assert not any(part.startswith("_") or part in {"", ".", ".."} for part in text.split("/"))
    assert is_inside(LAYOUT.tags(name))
    assert is_inside(LAYOUT.tag_list(name))


@MANY
@given(HOSTILE | st.from_regex(r"sha(256|512):[0-9a-fA-F]{60,130}", fullmatch=True))
@example("sha256:" + "0" * 64 + "\n")
def test_a_digest_is_refused_or_stays_inside_the_root(text: str) -> None:
    for parse in (Digest, parse_digest):
        try:
            digest = parse(text)
        except InvalidDigest:
            continue
        assert is_inside(LAYOUT.blob(digest))
        assert digest == text.lower() == text


@MANY
@given(HOSTILE)
@example("latest\n")
def test_a_tag_is_refused_or_stays_inside_the_root(text: str) -> None:
    try:
        tag = Tag(text)
    except InvalidTag:
        return
    assert len(tag) <= 128
    assert is_inside(LAYOUT.tag(RepositoryName("a"), tag))


@MANY
@given(HOSTILE | st.from_regex(r"bytes=\d{0,25}-\d{0,25}"), st.integers(0, 10**15))
@example("bytes=\u0663-\u0664", 10)
@example("bytes=" + "9" * 100_000 + "-", 10)
def test_a_range_is_ignored_refused_or_within_the_content(header: str, size: int) -> None:
    try:
        span = requested_span(header, size)
    except UnsatisfiableRange:
        return
    if span is not None:
        assert 0 <= span.start < span.end <= size


@MANY
@given(HOSTILE)
@example('Bearer realm="' + "\\" * 20_000)
@example("Bearer " + "a=b," * 20_000)
@example("Basic " * 20_000)
@example("," * 100_000)
def test_challenges_are_read_in_time_and_checked_before_use(header: str) -> None:
    began = time.process_time()
    challenges = parse_challenges(header)
    assert time.process_time() - began < 2
    home = Origin.of("https://registry.example.com")
    for challenge in challenges:
        assert challenge.scheme == challenge.scheme.lower()
        realm = challenge.parameters.get("realm", "")
        try:
            check_realm(home, realm, ())
        except UpstreamError:
            continue
        origin = Origin.of(realm)
        assert origin.scheme == "https"
        assert origin.host.endswith("example.com")


@MANY
@given(HOSTILE | PIECES.map(lambda piece: f"https://registry.example.com{piece}"))
@example("https://registry.example.com@evil.example/")
@example("https://registry.example.com.evil.example/")
@example("https://evilexample.com/")
@example("https://registry.example.com\\.evil.example/")
@example("https://registry.example.com\u3002evil.example/")
def test_a_realm_is_refused_or_requests_goes_to_the_same_host(realm: str) -> None:
    try:
        check_realm(Origin.of("https://registry.example.com"), realm, ())
    except UpstreamError:
        return
    prepared = requests.Request("GET", realm).prepare()
    host = Origin.of(str(prepared.url)).host
    assert host == "example.com" or host.endswith(".example.com")


@MANY
@given(HOSTILE | st.lists(PIECES, max_size=8).map(lambda parts: f"<{''.join(parts)}>; rel=next"))
@example("<" * 8192)
@example("<a>;" * 2000)
def test_a_next_page_is_at_home_or_there_is_none(header: str) -> None:
    response = requests.Response()
    response.headers["Link"] = header
    home = Origin.of("https://registry.example.com")
    answer = Answer(response, "https://registry.example.com/v2/a/tags/list", away=False)
    began = time.process_time()
    try:
        following = pages._next_page(answer, home)
    except UpstreamError:
        return
    assert time.process_time() - began < 2
    assert following is None or Origin.of(following) == home


@MANY
@given(HOSTILE | st.from_regex(r"[0-9]{1,30}", fullmatch=True))
@example("Fri, 31 Dec 9999 23:59:59 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -9999")
@example("Thu, 01 Jan 0000 00:00:00 GMT")
@example(format_datetime(datetime(2000, 1, 1, tzinfo=UTC)))
def test_retry_after_is_nothing_or_some_seconds(header: str) -> None:
    seconds = retry_after(header)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@MANY
@given(HOSTILE | st.from_regex(r"bytes \d{1,25}-\d{1,25}/(\d{1,25}|\*)"))
@example("bytes \u0660-\u0669/\u0661\u0660")
def test_content_range_is_nothing_or_three_plain_numbers(header: str) -> None:
    told = _CONTENT_RANGE.fullmatch(header)
    if told:
        assert all(0 <= int(number) < 10**19 for number in told.groups())
        assert header.isascii()


@MANY
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=300))
@example(b"[" * 100_000)
@example(b'{"mediaType": "a/b\\r\\nSet-Cookie: x"}')
@example(b'{"mediaType": "\\ud800"}')
@example(b"\xff\xfe{}")
@example(b"9" * 10_000)
def test_the_media_type_of_any_body_fits_into_a_header(body: bytes) -> None:
    media_type = media_type_of(body)
    assert media_type.isascii()
    assert media_type.isprintable()


FIELDS = st.sampled_from(
    ["type", "v", "source", "digest", "tag", "kind", "key", "status", "code", "message", "retryable",
     "retry_after", "size", "request_id", "upstream", "repository"]
)  # fmt: skip
KNOWN: st.SearchStrategy[Any] = st.sampled_from(
    ["fetch-blob", "check-blob", "fetch-manifest", "resolve-tag", "list-tags", "expire-link",
     "expire-tag", "fill-started", "fill-committed", "fill-failed", 1, "sha256:" + "0" * 64, "layer",
     {"upstream": "", "repository": "library/app"}, {"upstream": "..", "repository": "x"},
     {"upstream": "", "repository": "../x"}, {"upstream": "\0", "repository": "x"}, "latest", True]
)  # fmt: skip
SOUND: list[dict[str, Any]] = [
    {
        "type": kind,
        "v": 1,
        "source": {"upstream": "", "repository": "library/app"},
        "digest": "sha256:" + "0" * 64,
        "tag": "latest",
        "kind": "layer",
        "key": "k",
        "status": 404,
        "code": "UNKNOWN",
        "message": "m",
        "retryable": True,
    }
    for kind in (*_Wire.messages, *_Wire.events)
]
# Sound but for a field or two, which may be those inside the source.
SPOILT = st.builds(
    lambda sound, fields: {**sound, **fields},
    st.sampled_from(SOUND),
    st.dictionaries(FIELDS, KNOWN | JSON, max_size=2)
    | st.fixed_dictionaries(
        {
            "source": st.fixed_dictionaries(
                {"upstream": st.sampled_from(["", "hub", ".."]) | HOSTILE, "repository": HOSTILE}
            )
        }
    ),
)
WIRE = (SPOILT | st.dictionaries(FIELDS, KNOWN | JSON, max_size=8)).map(
    lambda wire: json.dumps({"v": 1, **wire}).encode()
)


FAILED = (
    b'{"v": 1, "type": "fill-failed", "key": "k", "status": %s, "code": "UNKNOWN",'
    b' "message": "m", "retryable": true, "retry_after": %s}'
)


@settings(max_examples=600, deadline=None)
@given(WIRE | st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"v": 1, "type": ["a"]}')
@example(b'{"v": 1, "type": "fill-failed", "retry_after": NaN}')
@example(b'{"v": 1, "type": "expire-link", "kind": []}')
@example(FAILED % (b"502", b"Infinity"))
@example(FAILED % (b"502", b"1e400"))
@example(FAILED % (b"502", b"1" + b"0" * 400))
@example(FAILED % (b"0", b"1"))
@example(FAILED % (b"99999", b"1"))
def test_any_bytes_are_a_sound_message_or_undecodable(body: bytes) -> None:
    for decode in (decode_message, decode_event):
        try:
            message = decode(body)
        except UndecodableMessage:
            continue
        assert decode(encode(message)) == message
        source = getattr(message, "source", None)
        if source is not None:
            assert is_inside(LAYOUT.tags(source.stored))
            assert is_inside(LAYOUT.tags(source.repository))
        digest = getattr(message, "digest", None)
        assert digest is None or is_inside(LAYOUT.blob(digest))
        retry = getattr(message, "retry_after", None)
        assert retry is None or math.isfinite(retry)
        assert 400 <= getattr(message, "status", 400) <= 599


@MANY
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=300) | st.none())
@example(b'{"token": "a\\r\\nX: y"}')
@example(b'{"token": "t", "expires_in": 1e400}')
@example(b'{"token": "t", "expires_in": NaN}')
@example(b'{"token": "t", "expires_in": -Infinity}')
@example(b'{"token": "t", "expires_in": true}')
@example(b'{"token": 1}')
@example(b"[" * 100_000)
def test_a_token_reply_is_a_token_that_fits_a_header_or_an_error(body: bytes | None) -> None:
    try:
        token = read_token(body, 1000.0)
    except UpstreamError:
        return
    assert token.value.isascii()
    assert token.value.isprintable()
    assert " " not in token.value
    assert 1000 <= token.expires <= 1000 + 24 * 3600


@MANY
@given(HOSTILE, st.lists(HOSTILE, max_size=4))
def test_who_is_asking_is_always_a_short_name(peer: str, forwarded: list[str]) -> None:
    headers = [(b"x-forwarded-for", value.encode("utf-8", "replace")) for value in forwarded]
    SCOPE.set({"client": (peer, 1), "headers": headers})
    for proxies in ([], ["0.0.0.0/0", "::/0", "unix"]):
        assert len(Callers(proxies).current()) < 60
    SCOPE.set({})


@MANY
@given(HOSTILE)
def test_an_upstreams_words_are_one_short_line(text: str) -> None:
    assert printable(text).isascii()
    assert printable(text).isprintable() or not printable(text)
    assert len(printable(text)) <= 200


@MANY
@given(HOSTILE)
@example("http://[::1")
@example("http://a:99999/")
@example("http://a:²/")
def test_an_origin_is_plain_or_a_value_error(url: str) -> None:
    try:
        origin = Origin.of(url)
    except ValueError:
        return
    assert origin.scheme in {"http", "https"}
    assert 0 <= origin.port <= 65535


@MANY
@given(HOSTILE, HOSTILE | st.none())
def test_a_request_means_one_configured_upstream_or_none(name: str, namespace: str | None) -> None:
    names = frozenset({"", "ghcr.io", "quay.io"})
    naming = Naming(names, {"docker.io": ""})
    try:
        source = naming.resolve(name, namespace)
    except InvalidName:
        return
    assert source.upstream in names
    assert is_inside(LAYOUT.tags(source.stored))
