"""Blobs from an upstream that answers well, or at least in HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from common.errors import UpstreamError
from tests.fetcher.client import BLOB, BLOB_PATH, DIGEST, REPOSITORY, failure, fetched, upstream
from tests.fetcher.recording import Reply, Seen, serving
from tests.parts.process import free_port


def whole(_: Seen) -> Reply:
    return Reply(body=BLOB)


def ranged(seen: Seen) -> Reply:
    asked = seen.headers.get("range")
    if not asked:
        return Reply(body=BLOB)
    offset = int(asked.removeprefix("bytes=").removesuffix("-"))
    told = f"bytes {offset}-{len(BLOB) - 1}/{len(BLOB)}"
    return Reply(206, BLOB[offset:], {"Content-Range": told})


def test_a_blob_arrives_byte_for_byte_with_its_size_told() -> None:
    with serving(whole) as server, upstream(server.url) as client:
        with client.open_blob(REPOSITORY, DIGEST) as stream:
            assert (stream.offset, stream.total) == (0, len(BLOB))
            assert b"".join(stream.chunks()) == BLOB
        assert server.seen[0].path == BLOB_PATH


def test_requests_name_the_product_ask_for_plain_bytes_and_carry_nothing_else() -> None:
    with serving(whole) as server, upstream(server.url, user_agent="entrepot/9") as client:
        fetched(client)
        told = dict(server.seen[0].headers)
        assert told.pop("host") == f"127.0.0.1:{server.port}"
        assert told == {"user-agent": "entrepot/9", "accept-encoding": "identity"}


SILENT = {"Content-Length": "", "Transfer-Encoding": "chunked"}


@pytest.mark.parametrize(
    ("reply", "size"),
    [
        (Reply(206, b"x", {"Content-Range": "bytes 0-0/7"}), 7),
        (Reply(416, headers={"Content-Range": "bytes */0"}), 0),
        (Reply(body=b"x" * 7), 7),
    ],
    ids=["a part", "nothing to have a part of", "no parts"],
)
def test_a_size_that_head_does_not_tell_is_told_by_a_get(reply: Reply, size: int) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(headers=SILENT) if seen.method == "HEAD" else reply

    with serving(answer) as server, upstream(server.url) as client:
        assert client.head_blob(REPOSITORY, DIGEST) is None
        assert client.blob_size(REPOSITORY, DIGEST) == size
        assert server.seen[-1].headers["range"] == "bytes=0-0"


@pytest.mark.parametrize(
    "reply",
    [Reply(206, b"x", {"Content-Range": "bytes 0-0/*"}), Reply(headers=SILENT)],
    ids=["a part of who knows what", "no length"],
)
def test_a_size_that_nobody_tells_is_an_error_at_once(reply: Reply) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(headers=SILENT) if seen.method == "HEAD" else reply

    with serving(answer) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="does not tell how large") as caught:
            client.blob_size(REPOSITORY, DIGEST)
        assert (caught.value.status, caught.value.retryable) == (502, False)
        assert len(server.seen) == 2


def test_a_get_for_the_size_that_is_refused_says_why() -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(headers=SILENT) if seen.method == "HEAD" else Reply(404)

    with serving(answer) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError) as caught:
            client.blob_size(REPOSITORY, DIGEST)
        assert (caught.value.status, caught.value.code) == (404, "BLOB_UNKNOWN")


def test_head_tells_the_size_without_the_body() -> None:
    with serving(whole) as server, upstream(server.url) as client:
        assert client.head_blob(REPOSITORY, DIGEST) == len(BLOB)
        assert [seen.method for seen in server.seen] == ["HEAD"]


def test_a_part_is_taken_when_it_begins_where_asked() -> None:
    with serving(ranged) as server, upstream(server.url) as client:
        with client.open_blob(REPOSITORY, DIGEST, offset=1000, total=len(BLOB)) as stream:
            assert (stream.offset, stream.total) == (1000, len(BLOB))
            assert b"".join(stream.chunks()) == BLOB[1000:]
        assert [seen.headers.get("range") for seen in server.seen] == ["bytes=1000-"]


def test_all_of_it_in_reply_to_a_range_begins_at_the_start() -> None:
    with serving(whole) as server, upstream(server.url) as client:
        with client.open_blob(REPOSITORY, DIGEST, offset=1000, total=len(BLOB)) as stream:
            assert stream.offset == 0
            assert b"".join(stream.chunks()) == BLOB
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "content_range"),
    [
        (206, f"bytes 999-{len(BLOB) - 1}/{len(BLOB)}"),
        (206, f"bytes 1000-{len(BLOB) - 1}/{len(BLOB) + 1}"),
        (206, "bytes 1000-2000/*"),
        (206, "nonsense"),
        (206, ""),
        (416, f"bytes */{len(BLOB)}"),
    ],
)
def test_a_part_that_is_not_the_one_asked_for_is_asked_anew_from_the_start(
    status: int, content_range: str
) -> None:
    def wrong(seen: Seen) -> Reply:
        if "range" in seen.headers:
            return Reply(status, BLOB[1000:], {"Content-Range": content_range})
        return Reply(body=BLOB)

    with serving(wrong) as server, upstream(server.url) as client:
        with client.open_blob(REPOSITORY, DIGEST, offset=1000, total=len(BLOB)) as stream:
            assert stream.offset == 0
            assert b"".join(stream.chunks()) == BLOB
        assert [seen.headers.get("range") for seen in server.seen] == ["bytes=1000-", None]


def test_a_part_that_ends_before_the_blob_does_counts_as_cut_short() -> None:
    def partly(_: Seen) -> Reply:
        return Reply(206, BLOB[10:20], {"Content-Range": f"bytes 10-19/{len(BLOB)}"})

    with serving(partly) as server, upstream(server.url) as client:
        error = failure(client, offset=10, total=len(BLOB))
        assert error.retryable
        assert "cut short at 20 of" in str(error)


def test_a_part_nobody_asked_for_is_an_error() -> None:
    def partly(_: Seen) -> Reply:
        return Reply(206, BLOB[:9], {"Content-Range": f"bytes 0-8/{len(BLOB)}"})

    with serving(partly) as server, upstream(server.url) as client:
        assert failure(client).status == 502


def test_a_size_other_than_the_one_known_is_an_error_worth_a_retry() -> None:
    with serving(whole) as server, upstream(server.url) as client:
        error = failure(client, total=len(BLOB) + 1)
        assert (error.status, error.retryable) == (502, True)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity, gzip"])
def test_an_encoded_blob_is_an_error_worth_a_retry(encoding: str) -> None:
    def encoded(_: Seen) -> Reply:
        return Reply(body=BLOB, headers={"Content-Encoding": encoding})

    with serving(encoded) as server, upstream(server.url) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, True)
        assert "content encoding" in str(error)


@pytest.mark.parametrize(
    ("answer", "status", "code", "retryable", "retry_after"),
    [
        (Reply(404), 404, "BLOB_UNKNOWN", False, None),
        (Reply(410), 404, "BLOB_UNKNOWN", False, None),
        (Reply(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'), 404, "NAME_UNKNOWN", False, None),
        (Reply(401), 403, "DENIED", False, None),
        (Reply(403), 403, "DENIED", False, None),
        (
            Reply(403, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}'),
            503,
            "TOOMANYREQUESTS",
            True,
            None,
        ),
        (Reply(429, headers={"Retry-After": "7"}), 503, "TOOMANYREQUESTS", True, 7.0),
        (Reply(429, headers={"Retry-After": "99999999"}), 503, "TOOMANYREQUESTS", True, 3600.0),
        (Reply(500), 502, "UNKNOWN", True, None),
        (Reply(503, headers={"Retry-After": "soon"}), 502, "UNKNOWN", True, None),
        (Reply(400), 502, "UNKNOWN", False, None),
        (Reply(204), 502, "UNKNOWN", False, None),
        (Reply(304), 502, "UNKNOWN", False, None),
    ],
)
def test_refusals_become_facts(
    answer: Reply, status: int, code: str, retryable: bool, retry_after: float | None
) -> None:
    with serving(lambda _: answer) as server, upstream(server.url) as client:
        error = failure(client)
        facts = (error.status, error.code, error.retryable, error.retry_after)
        assert facts == (status, code, retryable, retry_after)
        assert str(error).startswith(f"upstream hub: the registry answered {answer.status}")


def test_an_excerpt_of_the_registrys_words_is_kept_and_made_printable() -> None:
    words = b'{"errors":[{"code":"DENIED","message":"go\\naway \\u001b[31m' + b"x" * 5000 + b'"}]}'
    with serving(lambda _: Reply(403, words)) as server, upstream(server.url) as client:
        message = str(failure(client))
        assert "DENIED go away  [31mxxx" in message
        assert len(message) < 300
        assert message.isprintable()


def test_an_endless_error_body_is_not_read_to_its_end() -> None:
    with serving(lambda _: Reply(500, b"x" * 50_000_000)) as server, upstream(server.url) as client:
        assert failure(client).status == 502


def test_connections_are_shared_by_requests_and_threads() -> None:
    with serving(whole) as server, upstream(server.url) as client:
        with ThreadPoolExecutor(2) as pool:
            sizes = list(pool.map(lambda _: len(fetched(client)), range(12)))
        assert sizes == [len(BLOB)] * 12
        assert len({seen.connection for seen in server.seen}) <= 2


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving(whole) as server, upstream(server.url) as client:
        assert fetched(client) == BLOB


def test_a_refused_connection_is_a_passing_502() -> None:
    with upstream(f"http://127.0.0.1:{free_port()}") as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, True)
        assert "Connection refused" in str(error)


def test_a_host_that_does_not_exist_is_a_passing_502() -> None:
    with upstream("http://registry.invalid") as client, pytest.raises(UpstreamError) as caught:
        client.head_blob(REPOSITORY, DIGEST)
    assert (caught.value.status, caught.value.retryable) == (502, True)
