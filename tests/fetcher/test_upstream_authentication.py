"""Basic and bearer authentication against registries and token servers that check it."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.reference import RepositoryName
from fetcher.upstream import Upstream
from tests.fetcher.client import BLOB, DIGEST, REPOSITORY, failure, fetched, upstream
from tests.fetcher.recording import Reply, Seen, Server, serving
from tests.waiting import until

MARY = {"username": "mary", "password": "sécret:1"}
MARYS = "Basic " + b64encode(b"mary:s\xc3\xa9cret:1").decode()


@dataclass
class Issuer:
    """A registry that wants bearer tokens, with the token server beside it, counting."""

    lifetime: Any = 300
    wants: str | None = None
    issued: int = 0
    valid: set[str] = field(default_factory=set)
    realm: str = ""
    pause: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, seen: Seen) -> Reply:
        return self.issue(seen) if seen.path == "/token" else self.serve(seen)

    def issue(self, seen: Seen) -> Reply:
        if self.wants and seen.headers.get("authorization") != self.wants:
            return Reply(401)
        threading.Event().wait(self.pause)
        with self.lock:
            self.issued += 1
            token = f"token-{self.issued}"
            self.valid.add(f"Bearer {token}")
        reply = {"token": token, "expires_in": self.lifetime}
        return Reply(body=json.dumps(reply).encode())

    def serve(self, seen: Seen) -> Reply:
        if seen.headers.get("authorization") in self.valid:
            return Reply(body=BLOB)
        theirs = "repository:everything:*"
        challenge = f'Bearer realm="{self.realm}",service="the registry",scope="{theirs}"'
        return Reply(401, headers={"WWW-Authenticate": challenge})


@contextmanager
def issuing(issuer: Issuer, **settings: Any) -> Iterator[tuple[Server, Upstream]]:
    with serving(issuer) as server:
        issuer.realm = server.url + "/token"
        with upstream(server.url, **settings) as client:
            yield server, client


def test_a_token_is_asked_for_our_scope_and_used() -> None:
    with issuing(Issuer()) as (server, client):
        assert fetched(client) == BLOB
        (asked,) = server.asked("/token")
        assert asked.query == {
            "service": ["the registry"],
            "scope": [f"repository:{REPOSITORY}:pull"],
        }
        assert "authorization" not in asked.headers
        assert server.seen[-1].headers["authorization"] == "Bearer token-1"


def test_credentials_go_to_the_token_server_and_not_to_the_registry() -> None:
    with issuing(Issuer(wants=MARYS), **MARY) as (server, client):
        assert fetched(client) == BLOB
        assert server.asked("/token")[0].headers["authorization"] == MARYS
        others = [seen for seen in server.seen if seen.path != "/token"]
        assert [seen.headers.get("authorization") for seen in others] == [None, "Bearer token-1"]


def test_a_token_is_kept_and_its_challenge_not_asked_again() -> None:
    with issuing(Issuer()) as (server, client):
        for _ in range(3):
            fetched(client)
        assert len(server.asked("/token")) == 1
        assert len(server.seen) == 1 + 1 + 3


def test_another_repository_has_a_token_of_its_own() -> None:
    with issuing(Issuer()) as (server, client):
        fetched(client)
        client.head_blob(RepositoryName("other"), DIGEST)
        scopes = [seen.query["scope"] for seen in server.asked("/token")]
        assert scopes == [[f"repository:{REPOSITORY}:pull"], ["repository:other:pull"]]


def test_an_expired_token_is_replaced_before_it_is_used() -> None:
    with issuing(Issuer(lifetime=0.05)) as (server, client):
        fetched(client)
        until(lambda: fetched(client) and len(server.asked("/token")) > 1, 5, "a second token")
        blobs = [seen.headers.get("authorization") for seen in server.asked(DIGEST)]
        assert blobs.count(None) == 1


def test_a_token_that_is_refused_is_replaced_once() -> None:
    issuer = Issuer()
    with issuing(issuer) as (server, client):
        fetched(client)
        issuer.valid.clear()
        assert fetched(client) == BLOB
        assert len(server.asked("/token")) == 2


def test_a_token_that_never_helps_ends_in_denied_without_our_challenge() -> None:
    class Stubborn(Issuer):
        def serve(self, seen: Seen) -> Reply:
            self.valid.clear()
            return super().serve(seen)

    with issuing(Stubborn()) as (server, client):
        error = failure(client)
        assert (error.status, error.code, error.retryable) == (403, "DENIED", False)
        assert len(server.asked("/token")) == 1
        assert failure(client).status == 403


def test_twenty_threads_ask_for_one_token() -> None:
    with issuing(Issuer(pause=0.2)) as (server, client):
        together = threading.Barrier(20)

        def pull(_: int) -> int | None:
            together.wait(10)
            return client.head_blob(REPOSITORY, DIGEST)

        with ThreadPoolExecutor(20) as pool:
            assert list(pool.map(pull, range(20))) == [len(BLOB)] * 20
        assert len(server.asked("/token")) == 1


@pytest.mark.parametrize(
    ("answer", "status", "code", "retryable"),
    [
        (Reply(401), 403, "DENIED", False),
        (Reply(403), 403, "DENIED", False),
        (Reply(429, headers={"Retry-After": "3"}), 503, "TOOMANYREQUESTS", True),
        (Reply(500), 502, "UNKNOWN", True),
        (Reply(307, headers={"Location": "/elsewhere"}), 502, "UNKNOWN", False),
        (Reply(body=b"not json"), 502, "UNKNOWN", True),
        (Reply(body=b"[]"), 502, "UNKNOWN", True),
        (Reply(body=b"{}"), 502, "UNKNOWN", True),
        (Reply(body=b'{"token": 7}'), 502, "UNKNOWN", True),
        (Reply(body=b'{"token": "a\\r\\nX-Evil: 1"}'), 502, "UNKNOWN", True),
        (Reply(body=b'{"token": "' + b"x" * 2_000_000 + b'"}'), 502, "UNKNOWN", True),
    ],
)
def test_a_token_server_without_a_token_is_an_upstream_error(
    answer: Reply, status: int, code: str, retryable: bool
) -> None:
    class Odd(Issuer):
        def issue(self, seen: Seen) -> Reply:
            return answer

    with issuing(Odd()) as (server, client):
        error = failure(client)
        assert (error.status, error.code, error.retryable) == (status, code, retryable)
        assert len(server.seen) == 2


@pytest.mark.parametrize("lifetime", [None, "soon", -5, 0, True, [], 1e400])
def test_a_senseless_lifetime_does_no_harm(lifetime: Any) -> None:
    with issuing(Issuer(lifetime=lifetime)) as (_, client):
        assert [fetched(client) for _ in range(2)] == [BLOB] * 2


def test_a_token_named_access_token_is_taken() -> None:
    class OAuth(Issuer):
        def issue(self, seen: Seen) -> Reply:
            super().issue(seen)
            return Reply(body=b'{"access_token": "token-1"}')

    with issuing(OAuth()) as (_, client):
        assert fetched(client) == BLOB


def test_credentials_are_not_sent_to_a_foreign_realm() -> None:
    issuer = Issuer()
    with serving(issuer) as thief, issuing(issuer, **MARY) as (_, client):
        issuer.realm = f"http://localhost:{thief.port}/token"
        error = failure(client)
        assert not error.retryable
        assert "refused the realm http://localhost" in str(error)
        assert thief.seen == []


def test_a_realm_on_another_port_of_a_numeric_host_is_foreign() -> None:
    issuer = Issuer()
    with serving(issuer) as thief, issuing(issuer, **MARY) as (_, client):
        issuer.realm = thief.url + "/token"
        assert "refused the realm" in str(failure(client))
        assert thief.seen == []


def test_a_configured_realm_is_asked_with_the_credentials() -> None:
    issuer = Issuer(wants=MARYS)
    with serving(issuer) as other:
        authority = f"localhost:{other.port}"
        with issuing(issuer, realmhosts=(authority,), **MARY) as (_, client):
            issuer.realm = f"http://{authority}/token"
            assert fetched(client) == BLOB
        assert [seen.headers["authorization"] for seen in other.seen] == [MARYS]


def basic(seen: Seen) -> Reply:
    if seen.headers.get("authorization") == MARYS:
        return Reply(body=BLOB)
    return Reply(401, headers={"WWW-Authenticate": 'Basic realm="here", charset="UTF-8"'})


def test_basic_is_offered_after_a_challenge_and_unasked_from_then_on() -> None:
    with serving(basic) as server, upstream(server.url, **MARY) as client:
        assert [fetched(client) for _ in range(2)] == [BLOB] * 2
        told = [seen.headers.get("authorization") for seen in server.seen]
        assert told == [None, MARYS, MARYS]


def test_wrong_credentials_are_offered_once_a_request_and_denied() -> None:
    with serving(basic) as server, upstream(server.url, username="eve") as client:
        for requests in (2, 3):
            error = failure(client)
            assert (error.status, error.code, error.retryable) == (403, "DENIED", False)
            assert len(server.seen) == requests


def test_bearer_is_chosen_where_both_are_offered() -> None:
    class Both(Issuer):
        def serve(self, seen: Seen) -> Reply:
            reply = super().serve(seen)
            if reply.status == 200:
                return reply
            both = 'Basic realm="x", ' + reply.headers["WWW-Authenticate"]
            return Reply(401, headers={"WWW-Authenticate": both})

    with issuing(Both(wants=MARYS), **MARY) as (server, client):
        assert fetched(client) == BLOB
        assert server.seen[-1].headers["authorization"] == "Bearer token-1"


def test_no_secret_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    issuer = Issuer(wants=MARYS)
    with capture_logs() as lines, issuing(issuer, **MARY) as (_, client):
        fetched(client)
        issuer.wants = "other credentials"
        issuer.valid.clear()
        error = failure(client)
    told = f"{lines} {caplog.text} {error!r}"
    assert "token received" in told
    for secret in ("token-1", MARYS.removeprefix("Basic "), "sécret"):
        assert secret not in told
