"""Tokens as threads share them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from common.errors import UpstreamError
from common.reference import RepositoryName
from fetcher.credentials import credentials_of
from fetcher.settings import UpstreamSettings
from fetcher.throughput import Floor
from fetcher.tokens import Tokens, TokenServer
from fetcher.transport import Transport
from tests.fetcher.client import REPOSITORY
from tests.fetcher.recording import Answer, Reply, Seen, Server, serving
from tests.waiting import until


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def tokens_of(
    answer: Answer, clock: Clock
) -> Iterator[tuple[Server, Callable[[RepositoryName], str]]]:
    with serving(answer) as server:
        settings = UpstreamSettings(name="", remoteurl=server.url)
        transport = Transport(settings)
        tokens = Tokens(transport, credentials_of(settings), lambda: Floor(0, 60), clock)
        token_server = TokenServer(server.url + "/token", "tests")
        try:
            yield server, lambda repository: tokens.get(token_server, repository)
        finally:
            transport.close()


@pytest.mark.parametrize(
    ("lifetime", "kept", "gone"),
    [
        ("300", 289, 291),
        ("60", 53, 55),
        ("10", 8.9, 9.1),
        ("null", 53, 55),
        ('"300"', 53, 55),
        ("-1", 53, 55),
        ("NaN", 53, 55),
        ("1e300", 24 * 3600 - 11, 24 * 3600 - 9),
    ],
)
def test_a_token_is_kept_until_shortly_before_it_expires(
    lifetime: str, kept: float, gone: float
) -> None:
    clock = Clock()
    reply = Reply(body=b'{"token": "t", "expires_in": ' + lifetime.encode() + b"}")
    with tokens_of(lambda _: reply, clock) as (server, get):
        asked = [len(server.seen) for clock.now in (0, kept, gone) if get(REPOSITORY)]
        assert asked == [1, 1, 2]


def test_expired_tokens_of_other_repositories_are_forgotten() -> None:
    clock = Clock()
    with serving(lambda _: Reply(body=b'{"token": "t"}')) as server:
        settings = UpstreamSettings(name="", remoteurl=server.url)
        transport = Transport(settings)
        tokens = Tokens(transport, credentials_of(settings), lambda: Floor(0, 60), clock)
        for number in range(5):
            clock.now += 100
            tokens.get(TokenServer(server.url, ""), RepositoryName(f"r{number}"))
        transport.close()
        assert len(tokens._kept) == 1


def test_so_many_are_kept_and_then_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetcher.tokens.MOST", 3)
    with tokens_of(lambda _: Reply(body=b'{"token": "t"}'), Clock()) as (server, get):
        for name in ("a", "b", "c", "d"):
            get(RepositoryName(name))
        for name in ("b", "c", "d"):
            get(RepositoryName(name))
        assert len(server.seen) == 4
        get(RepositoryName("a"))
        assert len(server.seen) == 5


def test_a_token_that_replaces_a_rejected_one_is_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fetcher.tokens.MOST", 2)
    names = iter(["one", "two", "three", "four"])
    reply = b'{"token": "%s"}'
    with serving(lambda _: Reply(body=reply % next(names).encode())) as server:
        settings = UpstreamSettings(name="", remoteurl=server.url)
        transport = Transport(settings)
        tokens = Tokens(transport, credentials_of(settings), lambda: Floor(0, 60), Clock())
        issuer = TokenServer(server.url, "")
        first, second, third = (RepositoryName(name) for name in "abc")
        tokens.get(issuer, first)
        tokens.get(issuer, second)
        assert tokens.get(issuer, first, rejected="one") == "three"
        tokens.get(issuer, third)
        assert tokens.get(issuer, first) == "three"
        transport.close()


def test_a_failing_token_server_is_asked_once_for_all_who_wait_and_again_afterwards() -> None:
    threads = 8
    entered: list[int] = []

    def fail(_: Seen) -> Reply:
        until(lambda: len(entered) == threads, what="all to ask")
        threading.Event().wait(2.0)  # and to have joined, which is the next thing they do
        return Reply(500)

    with tokens_of(fail, Clock()) as (server, get):

        def ask(number: int) -> int:
            entered.append(number)
            with pytest.raises(UpstreamError) as caught:
                get(REPOSITORY)
            return caught.value.status

        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(ask, range(threads))) == [502] * threads
        assert len(server.seen) == 1
        server.answer = lambda _: Reply(body=b'{"token": "t"}')
        assert get(REPOSITORY) == "t"


def test_repositories_do_not_wait_for_each_other() -> None:
    release = threading.Event()

    def slow_for_one(seen: Seen) -> Reply:
        if seen.query["scope"] == ["repository:slow:pull"]:
            release.wait(10)
        return Reply(body=b'{"token": "t"}')

    with tokens_of(slow_for_one, Clock()) as (server, get), ThreadPoolExecutor(1) as pool:
        slow = pool.submit(get, RepositoryName("slow"))
        until(lambda: server.seen, what="the slow one to be asked")
        assert get(RepositoryName("fast")) == "t"
        assert not slow.done()
        release.set()
        assert slow.result(10) == "t"
