"""Upstreams that break off, stall, trickle or talk nonsense, down to the socket."""

import threading
import time

import pytest

from common.errors import UpstreamError
from tests.fetcher.client import BLOB, DIGEST, REPOSITORY, TAG, failure, fetched, upstream
from tests.fetcher.rawserver import Client, Script, raw_serving, saying, then

HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BLOB)}\r\n\r\n".encode()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_cut_short_is_an_error_after_all_that_arrived() -> None:
    with raw_serving(saying(HEAD + BLOB[:100_000])) as server, upstream(server.url) as client:
        received: list[bytes] = []
        with client.open_blob(REPOSITORY, DIGEST) as stream, pytest.raises(UpstreamError) as caught:
            received.extend(stream.chunks())
        assert b"".join(received) == BLOB[:100_000]
        assert (caught.value.status, caught.value.retryable) == (502, True)
        assert str(caught.value) == "upstream hub: the body was cut short"


def test_a_reset_in_the_body_is_an_error() -> None:
    def reset(client: Client) -> None:
        client.head()
        client.say(HEAD + BLOB[:1000])
        client.reset()

    with raw_serving(reset) as server, upstream(server.url) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, True)


def test_a_reset_instead_of_an_answer_is_an_error_and_not_asked_twice() -> None:
    def reset(client: Client) -> None:
        client.head()
        client.reset()

    with raw_serving(reset) as server, upstream(server.url) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, True)
        assert "Connection reset by peer" in str(error)
        assert len(server.requests) == 1


def test_a_hang_up_instead_of_an_answer_is_an_error() -> None:
    with raw_serving(saying(b"")) as server, upstream(server.url) as client:
        assert "closed without an answer" in str(failure(client))


def test_a_stalled_body_ends_at_the_read_timeout() -> None:
    def stall(client: Client) -> None:
        client.head()
        client.say(HEAD + BLOB[:1000])
        client.stall()

    with raw_serving(stall) as server, upstream(server.url, read_timeout=0.3) as client:
        begun = time.monotonic()
        error = failure(client)
        assert (error.status, error.retryable) == (504, True)
        assert 0.25 < time.monotonic() - begun < 30


def test_silence_instead_of_an_answer_ends_at_the_read_timeout() -> None:
    def stall(client: Client) -> None:
        client.head()
        client.stall()

    with raw_serving(stall) as server, upstream(server.url, read_timeout=0.3) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (504, True)
        assert str(error) == f"upstream hub: {server.url}: no answer in time"


def test_a_body_that_trickles_under_the_floor_is_given_up() -> None:
    def trickle(client: Client) -> None:
        client.head()
        client.say(HEAD)
        client.drip(BLOB, 0.02)

    with (
        raw_serving(trickle) as server,
        upstream(server.url, min_throughput=10_000, throughput_window=0.5) as client,
    ):
        begun = time.monotonic()
        error = failure(client)
        assert (error.status, error.retryable) == (504, True)
        assert "too slow" in str(error)
        assert 0.4 < time.monotonic() - begun < 30


def test_a_body_just_above_the_floor_arrives() -> None:
    def slow(client: Client) -> None:
        client.head()
        client.say(HEAD)
        for offset in range(0, len(BLOB), len(BLOB) // 16):
            client.server.stop.wait(0.2)
            client.say(BLOB[offset : offset + len(BLOB) // 16])

    with (
        raw_serving(slow) as server,
        upstream(server.url, min_throughput=20_000, throughput_window=1.0) as client,
    ):
        assert fetched(client) == BLOB


def test_a_body_may_take_longer_than_any_timeout() -> None:
    def slow(client: Client) -> None:
        client.head()
        client.say(HEAD)
        for offset in range(0, len(BLOB), len(BLOB) // 16):
            client.server.stop.wait(0.33)
            client.say(BLOB[offset : offset + len(BLOB) // 16])

    with raw_serving(slow) as server, upstream(server.url, read_timeout=2.5) as client:
        assert fetched(client) == BLOB


def test_a_header_that_trickles_is_given_up() -> None:
    def trickle(client: Client) -> None:
        client.head()
        client.say(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        client.drip(b"x" * 10_000, 0.02)

    with raw_serving(trickle) as server, upstream(server.url, read_timeout=1.0) as client:
        begun = time.monotonic()
        error = failure(client)
        assert (error.status, error.retryable) == (504, True)
        assert 1.9 < time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\xff\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
        CHUNKED + b"zz\r\nnonsense\r\n",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"ffffffffffffffff\r\nhello",
    ],
)
def test_nonsense_is_an_upstream_error_and_no_other(answer: bytes) -> None:
    with raw_serving(saying(answer)) as server, upstream(server.url) as client:
        assert failure(client).status == 502


def test_a_body_without_length_that_is_longer_than_the_blob_is_stopped() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + BLOB + b"more"
    with raw_serving(saying(answer)) as server, upstream(server.url) as client:
        assert "more bytes than the blob has" in str(failure(client, total=len(BLOB)))


def test_a_body_without_length_that_is_shorter_than_the_blob_counts_as_cut_short() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + BLOB[:-1]
    with raw_serving(saying(answer)) as server, upstream(server.url) as client:
        assert "cut short at" in str(failure(client, total=len(BLOB)))


@pytest.mark.parametrize("head", [CHUNKED, CHUNKED[:-2] + b"Content-Length: 7\r\n\r\n"])
def test_a_chunked_blob_arrives_and_its_size_is_not_made_up(head: bytes) -> None:
    answer = head + f"{len(BLOB):x}\r\n".encode() + BLOB + b"\r\n0\r\n\r\n"
    with (
        raw_serving(saying(answer)) as server,
        upstream(server.url) as client,
        client.open_blob(REPOSITORY, DIGEST) as stream,
    ):
        assert stream.total is None
        assert b"".join(stream.chunks()) == BLOB


def _closes_after_one_answer() -> Script:
    """As a server whose idle time-out is shorter than the pause between two requests."""

    def one(client: Client) -> None:
        client.head()
        client.say(HEAD + BLOB)

    return one


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_unnoticed() -> None:
    with raw_serving(_closes_after_one_answer()) as server, upstream(server.url) as client:
        assert [fetched(client) for _ in range(3)] == [BLOB] * 3


def test_a_kept_connection_that_is_reset_by_the_next_request_is_replaced_unnoticed() -> None:
    def reset_second(client: Client) -> None:
        client.head()
        client.say(HEAD + BLOB)
        client.head()
        client.reset()

    script = then(reset_second, saying(HEAD + BLOB))
    with raw_serving(script) as server, upstream(server.url) as client:
        assert [fetched(client) for _ in range(2)] == [BLOB] * 2
        assert len(server.requests) == 3


def test_a_manifest_cut_short_is_an_error() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"
    with (
        raw_serving(saying(answer)) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="cut short"),
    ):
        client.manifest(REPOSITORY, TAG)


def test_a_reset_on_a_connection_made_anew_is_an_error_and_not_asked_again() -> None:
    def reset(client: Client) -> None:
        client.head()
        client.reset()

    script = then(saying(HEAD + BLOB), reset)
    with raw_serving(script) as server, upstream(server.url) as client:
        assert fetched(client) == BLOB
        assert "Connection reset by peer" in str(failure(client))
        assert len(server.requests) == 2


def test_closing_an_upstream_closes_its_idle_connections() -> None:
    hung_up = threading.Event()

    def one(client: Client) -> None:
        client.head()
        client.say(HEAD + BLOB)
        assert client.head() == b""
        hung_up.set()

    with raw_serving(one) as server:
        with upstream(server.url) as client, client.open_blob(REPOSITORY, DIGEST) as stream:
            assert b"".join(stream.chunks()) == BLOB
            assert not hung_up.is_set()
        assert hung_up.wait(5)
        assert stream.offset == 0  # still held here, with all it refers to
