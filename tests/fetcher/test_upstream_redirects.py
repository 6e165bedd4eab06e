"""Redirects: followed by hand, without credentials, and not to everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import UpstreamError
from fetcher.settings import UpstreamSettings
from fetcher.transport import Transport
from fetcher.upstream import Upstream
from tests.fetcher.certificates import certificate
from tests.fetcher.client import BLOB, DIGEST, REPOSITORY, failure, fetched, upstream
from tests.fetcher.recording import Answer, Reply, Seen, Server, serving

BASIC = {"username": "mary", "password": "secret"}


def storage(seen: Seen) -> Reply:
    return Reply(body=BLOB)


def to(url: str, status: int = 307) -> Reply:
    return Reply(status, b"moved", {"Location": url})


def guarded(answer: Answer) -> Answer:
    """What a registry does that wants Basic first."""

    def run(seen: Seen) -> Reply:
        if "authorization" not in seen.headers:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="registry"'})
        return answer(seen)

    return run


@contextmanager
def behind(
    at_storage: Answer, path: str = "/", status: int = 307
) -> Iterator[tuple[Server, Server, Upstream]]:
    """Storage, a registry that redirects all to `path` there, and an upstream of that."""
    with (
        serving(at_storage) as cdn,
        serving(lambda _: to(cdn.url + path, status)) as registry,
        upstream(registry.url) as client,
    ):
        yield cdn, registry, client


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int) -> None:
    with behind(storage, "/x?sig=1", status) as (cdn, _, client):
        assert fetched(client) == BLOB
        assert cdn.seen[0].query == {"sig": ["1"]}


def test_a_relative_redirect_stays_and_keeps_the_credentials() -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(body=BLOB) if seen.path == "/elsewhere" else to("/elsewhere")

    with serving(guarded(answer)) as registry, upstream(registry.url, **BASIC) as client:
        assert fetched(client) == BLOB
        assert "authorization" in registry.asked("/elsewhere")[0].headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_credentials_do_not_follow_to_another_port_or_host(host: str) -> None:
    with serving(storage) as cdn:
        target = f"http://{host}:{cdn.port}/blob"
        answer = guarded(lambda _: to(target))
        with serving(answer) as registry, upstream(registry.url, **BASIC) as client:
            assert fetched(client) == BLOB
        assert "authorization" in registry.seen[-1].headers
        assert [set(seen.headers) for seen in cdn.seen] == [
            {"host", "user-agent", "accept-encoding"}
        ]


def test_credentials_stay_dropped_on_the_way_back() -> None:
    with serving(lambda _: to(registry.url + "/back")) as cdn:

        def answer(seen: Seen) -> Reply:
            return Reply(body=BLOB) if seen.path == "/back" else guarded(away)(seen)

        def away(_: Seen) -> Reply:
            return to(cdn.url)

        with serving(answer) as registry, upstream(registry.url, **BASIC) as client:
            assert fetched(client) == BLOB
            assert "authorization" not in registry.asked("/back")[0].headers


def test_a_challenge_from_a_redirects_target_is_never_met() -> None:
    challenge = Reply(401, headers={"WWW-Authenticate": 'Basic realm="storage"'})
    with serving(lambda _: challenge) as cdn, serving(lambda _: to(cdn.url)) as registry:
        with upstream(registry.url, **BASIC) as client:
            error = failure(client)
            assert (error.status, error.retryable) == (502, True)
        assert len(cdn.seen) == 1
        assert "authorization" not in cdn.seen[0].headers


def test_what_storage_refuses_is_worth_asking_the_registry_again() -> None:
    with behind(lambda _: Reply(403)) as (_, registry, client):
        assert failure(client).retryable
        assert failure(client).retryable
        assert len(registry.seen) == 2


def test_what_storage_misses_is_404_and_worth_asking_the_registry_again() -> None:
    with behind(lambda _: Reply(404)) as (_, _, client):
        error = failure(client)
        assert (error.status, error.code, error.retryable) == (404, "BLOB_UNKNOWN", True)


def test_a_loop_ends() -> None:
    with serving(lambda seen: to(seen.path)) as registry, upstream(registry.url) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, False)
        assert len(registry.seen) == 6


@pytest.mark.parametrize(
    "location",
    [
        "",
        "ftp://127.0.0.1/blob",
        "file:///etc/passwd",
        "http://user:word@127.0.0.1/",
        "http:///",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://exa mple/",
    ],
)
def test_a_redirect_to_nonsense_is_refused(location: str) -> None:
    with serving(lambda _: to(location)) as registry, upstream(registry.url) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, False)


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://10.0.0.1/",
        "http://[fd00::1]/",
        "http://192.168.0.1:8080/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/",
        "http://167772161/",
    ],
)
def test_a_redirect_from_loopback_into_other_networks_is_refused(target: str) -> None:
    with serving(lambda _: to(target)) as registry, upstream(registry.url) as client:
        error = failure(client)
        assert not error.retryable
        assert "refused to connect" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
def test_a_public_upstreams_requests_never_reach_the_loopback(host: str) -> None:
    with serving(storage) as inside:
        transport = Transport(UpstreamSettings(name="", remoteurl="https://8.8.8.8"))
        with pytest.raises(UpstreamError, match="leads to loopback addresses"):
            transport.send("GET", f"http://{host}:{inside.port}/", {})
        transport.close()
        assert inside.seen == []


def test_https_never_leads_to_http(tmp_path: Path) -> None:
    cafile, context = certificate(tmp_path)
    with serving(storage) as cdn, serving(lambda _: to(cdn.url), context) as registry:
        with upstream(registry.url, cafile=str(cafile)) as client:
            error = failure(client)
            assert not error.retryable
            assert "from https to http" in str(error)
        assert cdn.seen == []


def test_signatures_in_a_redirects_target_are_not_in_the_error() -> None:
    path = "/blob-path?X-Amz-Signature=topsecret"
    with behind(lambda _: Reply(500), path) as (cdn, _, client):
        error = failure(client)
        assert cdn.seen[0].query == {"X-Amz-Signature": ["topsecret"]}
        assert "topsecret" not in repr(error)


def test_head_believes_the_registrys_redirect_when_storage_takes_no_head() -> None:
    with behind(lambda _: Reply(403)) as (_, _, client):
        assert client.head_blob(REPOSITORY, DIGEST) is None


def refusing_head(seen: Seen) -> Reply:
    """Storage whose signed addresses are for GET alone."""
    return Reply(403) if seen.method == "HEAD" else storage(seen)


def test_where_storage_takes_no_head_a_get_of_one_byte_tells_the_size() -> None:
    with behind(refusing_head) as (cdn, _, client):
        assert client.blob_size(REPOSITORY, DIGEST) == len(BLOB)
        asked = [(seen.method, seen.headers.get("range")) for seen in cdn.seen]
        assert asked == [("HEAD", None), ("GET", "bytes=0-0")]


def test_head_takes_the_size_from_storage() -> None:
    with behind(storage) as (_, _, client):
        assert client.head_blob(REPOSITORY, DIGEST) == len(BLOB)


def test_a_resumed_download_begins_at_the_registry_again_and_keeps_its_range() -> None:
    with behind(storage) as (cdn, registry, client):
        fetched(client)
        fetched(client, offset=100)
        assert len(registry.seen) == 2
        assert cdn.seen[1].headers["range"] == "bytes=100-"
