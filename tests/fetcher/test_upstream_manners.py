"""How upstreams are spared, counted by servers that are asked."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from common.errors import UpstreamError
from fetcher import addresses
from fetcher.addresses import Reach
from fetcher.breaker import Breaker
from fetcher.quota import Allowance
from fetcher.rest import Rest
from fetcher.settings import UpstreamSettings
from fetcher.unasked import Unasked
from fetcher.upstream import Upstream
from tests.fetcher.client import (
    BLOB,
    BLOB_PATH,
    DIGEST,
    REPOSITORY,
    TAG,
    failure,
    fetched,
    upstream,
)
from tests.fetcher.recording import Reply, Seen, serving
from tests.waiting import until

WHOLE = Reply(body=BLOB)


def every_question(client: Upstream) -> list[Callable[[], object]]:
    return [
        lambda: client.head_blob(REPOSITORY, DIGEST),
        lambda: fetched(client),
        lambda: client.manifest(REPOSITORY, DIGEST),
        lambda: client.manifest(REPOSITORY, TAG),
        lambda: client.head_manifest(REPOSITORY, TAG),
        lambda: client.tags(REPOSITORY),
    ]


def refusals(questions: list[Callable[[], object]]) -> list[UpstreamError]:
    """The errors that all of these end in."""
    errors = []
    for question in questions:
        with pytest.raises(UpstreamError) as caught:
            question()
        errors.append(caught.value)
    return errors


@pytest.fixture
def touchy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Breakers open after so many failures, however short a time they took."""
    monkeypatch.setattr("fetcher.manners.Breaker", partial(Breaker, seconds=0.0))


def test_an_upstream_that_said_wait_is_not_asked_before_that_time() -> None:
    with (
        serving(lambda _: Reply(429, headers={"Retry-After": "60"})) as server,
        upstream(server.url) as client,
    ):
        first = failure(client)
        assert (first.status, first.code, first.retry_after) == (503, "TOOMANYREQUESTS", 60)
        for error in refusals(every_question(client)):
            assert (error.status, error.code, error.retryable) == (503, "TOOMANYREQUESTS", True)
            assert 55 < (error.retry_after or 0) <= 60
        assert len(server.seen) == 1
        assert 55 < client.condition.resting <= 60


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429),
        Reply(403, b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}'),
        Reply(503, headers={"Retry-After": "60"}),
    ],
    ids=["no time given", "said in the body", "unavailable"],
)
def test_other_ways_to_say_wait_are_heeded_too(
    reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetcher.rest.FIRST", 60.0)
    with serving(lambda _: reply) as server, upstream(server.url) as client:
        failure(client)
        assert 50 < (failure(client).retry_after or 0) <= 60
        assert len(server.seen) == 1


def test_when_the_time_is_over_it_is_asked_again() -> None:
    with (
        serving(lambda _: Reply(429, headers={"Retry-After": "1"})) as server,
        upstream(server.url) as client,
    ):
        failure(client)
        server.answer = lambda _: WHOLE
        until(lambda: client.condition.resting == 0, what="the time to be over")
        assert fetched(client) == BLOB


def test_a_token_server_that_said_wait_is_not_asked_either() -> None:
    def registry(_: Seen) -> Reply:
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{issuer.url}/token"'})

    with serving(lambda _: Reply(429, headers={"Retry-After": "60"})) as issuer:
        realm = f"127.0.0.1:{issuer.port}"
        with serving(registry) as server, upstream(server.url, realmhosts=(realm,)) as client:
            failure(client)
            assert failure(client).code == "TOOMANYREQUESTS"
            assert (len(issuer.seen), len(server.seen)) == (1, 1)


def test_what_storage_behind_the_registry_wants_does_not_silence_the_registry() -> None:
    with serving(lambda _: Reply(429, headers={"Retry-After": "60"})) as storage:
        moved = Reply(307, headers={"Location": storage.url})
        with serving(lambda _: moved) as registry, upstream(registry.url) as client:
            failure(client)
            failure(client)
            assert len(registry.seen) == 2


def test_what_one_fetcher_was_told_another_obeys(tmp_path: Path) -> None:
    path, temporary = str(tmp_path / "upstreams" / "hub.json"), str(tmp_path / "tmp")
    with serving(lambda _: Reply(429, headers={"Retry-After": "60"})) as server:
        settings = UpstreamSettings(name="hub", remoteurl=server.url)
        one = Upstream(settings, Rest("hub", path, temporary=temporary))
        other = Upstream(settings, Rest("hub", path, temporary=temporary))
        failure(one)
        assert failure(other).code == "TOOMANYREQUESTS"
        assert len(server.seen) == 1
        one.close()
        other.close()


def test_what_the_upstream_still_allows_is_known() -> None:
    told = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
    with (
        serving(lambda _: Reply(headers={**told, "Docker-Content-Digest": DIGEST})) as server,
        upstream(server.url) as client,
    ):
        assert client.condition.allowance is None
        client.head_manifest(REPOSITORY, TAG)
        assert client.condition.allowance == Allowance(100, 76, 21600)


@pytest.mark.usefixtures("touchy")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_upstream_that_fails_in_a_row_is_left_alone(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetcher.breaker.FIRST", 60.0)
    with serving(lambda _: Reply(status)) as server, upstream(server.url) as client:
        for _ in range(5):
            assert not isinstance(failure(client), Unasked)
        assert client.condition.is_open
        for error in refusals(every_question(client)):
            assert isinstance(error, Unasked)
            assert (error.status, error.code, error.retryable) == (503, "UNAVAILABLE", True)
        assert len(server.asked(DIGEST)) == 5
        assert len(server.asked("/v2/")) == 1


@pytest.mark.usefixtures("touchy")
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504])
def test_one_that_fails_at_what_a_client_asks_for_but_is_there_is_asked_on(status: int) -> None:
    def registry(seen: Seen) -> Reply:
        if seen.path == BLOB_PATH:
            return Reply(status)
        return Reply(401) if seen.path == "/v2/" else WHOLE

    with serving(registry) as server, upstream(server.url) as client:
        for _ in range(12):
            assert not isinstance(failure(client), Unasked)
        assert not client.condition.is_open
        assert len(server.asked("/v2/")) == 2


@pytest.mark.usefixtures("touchy")
def test_one_that_cannot_be_reached_is_left_alone_too() -> None:
    with serving(lambda _: WHOLE) as server:
        url = server.url
    with upstream(url) as client:
        errors = [failure(client) for _ in range(6)]
    assert [isinstance(error, Unasked) for error in errors] == [False] * 5 + [True]


@pytest.mark.usefixtures("touchy")
def test_one_that_does_not_answer_in_time_is_left_alone_too() -> None:
    ended = threading.Event()

    def silent(_: Seen) -> Reply:
        ended.wait(10)
        return WHOLE

    with serving(silent) as server:
        with upstream(server.url, read_timeout=0.1) as client:
            errors = [failure(client) for _ in range(6)]
        # Who does not wait for the answer may be gone before the server has read the question.
        until(lambda: len(server.asked(DIGEST)) >= 5, what="all that was asked")
        ended.set()
    assert [isinstance(error, Unasked) for error in errors] == [False] * 5 + [True]
    assert len(server.asked(DIGEST)) == 5


@pytest.mark.usefixtures("touchy")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410])
def test_an_answer_is_no_outage_whatever_it_says(status: int) -> None:
    with serving(lambda _: Reply(status)) as server, upstream(server.url) as client:
        for _ in range(12):
            failure(client)
        assert len(server.seen) == 12
        assert not client.condition.is_open


@pytest.mark.usefixtures("touchy")
def test_a_rate_limit_is_no_outage() -> None:
    with (
        serving(lambda _: Reply(429, headers={"Retry-After": "0"})) as server,
        upstream(server.url) as client,
    ):
        for _ in range(12):
            assert failure(client).code == "TOOMANYREQUESTS"
        assert len(server.seen) == 12
        assert not client.condition.is_open


@pytest.mark.usefixtures("touchy")
def test_a_storage_that_fails_is_not_the_registrys_outage() -> None:
    with serving(lambda _: Reply(500)) as storage:
        moved = Reply(307, headers={"Location": storage.url})
        with serving(lambda _: moved) as registry, upstream(registry.url) as client:
            for _ in range(12):
                failure(client)
            assert len(registry.seen) == 12


@pytest.mark.usefixtures("touchy")
def test_a_token_server_that_fails_is_the_registrys_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fetcher.breaker.FIRST", 60.0)

    def registry(_: Seen) -> Reply:
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{issuer.url}/token"'})

    with serving(lambda _: Reply(500)) as issuer:
        realm = f"127.0.0.1:{issuer.port}"
        with serving(registry) as server, upstream(server.url, realmhosts=(realm,)) as client:
            errors = [failure(client) for _ in range(8)]
            # The first was told by the registry where to go, which was an answer.
            assert sum(isinstance(error, Unasked) for error in errors) == 2
            assert len(issuer.asked("/token")) == 6 + 1


@pytest.mark.usefixtures("touchy")
def test_one_request_finds_out_that_it_is_back_and_then_all_may() -> None:
    at_once: list[Seen] = []
    release = threading.Event()

    def back(seen: Seen) -> Reply:
        at_once.append(seen)
        release.wait(10)
        return WHOLE

    with serving(lambda _: Reply(500)) as server, upstream(server.url) as client:
        for _ in range(5):
            failure(client)
        server.answer = back
        with ThreadPoolExecutor(1) as pool:

            def probe() -> bytes | None:
                try:
                    return fetched(client)
                except Unasked:
                    return None

            def probing() -> bool:
                futures.append(pool.submit(probe))
                until(lambda: at_once or futures[-1].done(), what="an end")
                return bool(at_once)

            futures: list[Future[bytes | None]] = []
            until(probing, what="the first to be let through")
            for _ in range(5):
                assert isinstance(failure(client), Unasked)
            assert len(at_once) == 1
            release.set()
        assert fetched(client) == BLOB
        assert not client.condition.is_open


def test_no_more_connections_than_configured() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def slow(_: Seen) -> Reply:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return WHOLE

    with serving(slow) as server, upstream(server.url, max_connections=2) as client:
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: client.head_blob(REPOSITORY, DIGEST), range(20)))
        assert len(server.seen) == 20
        assert most == 2


def test_a_stream_has_its_connection_until_it_is_closed() -> None:
    with serving(lambda _: WHOLE) as server, upstream(server.url, max_connections=1) as client:
        stream = client.open_blob(REPOSITORY, DIGEST)
        assert client.condition.connections == 1
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: client.head_blob(REPOSITORY, DIGEST))
            assert b"".join(stream.chunks()) == BLOB
            assert not other.done()
            assert len(server.seen) == 1
            stream.close()
            stream.close()
            assert other.result(10) == len(BLOB)
        assert client.condition.connections == 0


def test_a_stream_that_does_not_open_leaves_nothing_in_use() -> None:
    with serving(lambda _: Reply(404)) as server, upstream(server.url) as client:
        for _ in range(3):
            failure(client)
        assert client.condition.connections == 0


def test_the_bandwidth_is_that_configured() -> None:
    with (
        serving(lambda _: WHOLE) as server,
        upstream(server.url, bandwidth=2 * len(BLOB)) as client,
    ):
        begun = time.monotonic()
        assert fetched(client) == BLOB
        assert 0.2 < time.monotonic() - begun < 5


class Names:
    """Names that lead to other addresses of the loopback; 127.0.0.1 counts as public."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **hosts: str) -> None:
        self._hosts = {name.replace("_", "."): address for name, address in hosts.items()}
        monkeypatch.setattr(addresses, "resolve", self._resolve)
        monkeypatch.setattr(addresses, "reach", self._reach)

    def _resolve(self, host: str, _port: int) -> list[str]:
        return [self._hosts.get(host, host)]

    def _reach(self, address: str) -> Reach:
        return Reach.PUBLIC if address == "127.0.0.1" else Reach.PRIVATE


@pytest.mark.parametrize(
    ("named", "arrives"),
    [
        ({}, False),
        ({"realmhosts": ("storage.corp",)}, False),
        ({"redirecthosts": ("storage.corp",)}, True),
    ],
    ids=["not named", "named for tokens", "named for redirects"],
)
def test_a_redirect_into_private_networks_needs_its_host_to_be_named_for_that(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, tuple[str, ...]], arrives: bool
) -> None:
    Names(monkeypatch, storage_corp="127.0.0.2")
    with serving(lambda _: WHOLE, host="127.0.0.2") as storage:
        moved = Reply(307, headers={"Location": f"http://storage.corp:{storage.port}/blob"})
        with serving(lambda _: moved) as registry, upstream(registry.url, **named) as client:
            if arrives:
                assert fetched(client) == BLOB
            else:
                assert "refused to connect to storage.corp" in str(failure(client))
        assert len(storage.seen) == arrives


@pytest.mark.parametrize("key", ["realmhosts", "redirecthosts"])
def test_tokens_are_asked_only_of_hosts_that_are_named_for_that(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    Names(monkeypatch, auth_corp="127.0.0.2")
    realm = ""

    def registry(seen: Seen) -> Reply:
        if seen.headers.get("authorization") == "Bearer t":
            return WHOLE
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with serving(lambda _: Reply(body=b'{"token": "t"}'), host="127.0.0.2") as issuer:
        realm = f"http://auth.corp:{issuer.port}/token"
        with serving(registry) as server, upstream(server.url, **{key: ("auth.corp",)}) as client:
            if key == "realmhosts":
                assert fetched(client) == BLOB
            else:
                assert "refused the realm" in str(failure(client))
        assert len(issuer.seen) == (key == "realmhosts")


def test_a_connection_made_for_tokens_serves_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, auth_corp="127.0.0.2")
    inside = ""

    def registry(seen: Seen) -> Reply:
        if seen.headers.get("authorization") == "Bearer t":
            return Reply(307, headers={"Location": f"{inside}/secrets"})
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{inside}/token"'})

    with serving(lambda _: Reply(body=b'{"token": "t"}'), host="127.0.0.2") as issuer:
        inside = f"http://auth.corp:{issuer.port}"
        with serving(registry) as server, upstream(server.url, realmhosts=("auth.corp",)) as client:
            assert "refused to connect to auth.corp" in str(failure(client))
        assert [seen.path for seen in issuer.seen] == ["/token"]
