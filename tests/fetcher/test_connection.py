"""Connecting to a host of several addresses, some of which do not answer."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from urllib3 import HTTPConnectionPool, Retry, Timeout
from urllib3.exceptions import ConnectTimeoutError

from fetcher.addresses import AddressPolicy
from fetcher.connection import pool_classes
from tests.fetcher.recording import Reply, Server, serving


class Several(AddressPolicy):
    """A host whose addresses the test chooses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__("several.test")
        self._addresses = list(addresses)

    def addresses(self, host: str, port: int) -> list[str]:
        return self._addresses


@contextmanager
def silent(port: int, *hosts: str) -> Iterator[None]:
    """Addresses whose `port` takes no more connections, and says nothing about it."""
    with ExitStack() as stack:
        for host in hosts:
            full = stack.enter_context(socket.create_server((host, port), backlog=0))
            for _ in range(4):
                filling = stack.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex(full.getsockname())
        yield


@contextmanager
def pool(server: Server, *addresses: str) -> Iterator[HTTPConnectionPool]:
    made = pool_classes(Several(*addresses), 5)["http"]("several.test", server.port)
    made.timeout = Timeout(connect=0.3, read=5)
    try:
        yield made
    finally:
        made.close()


def status(opened: HTTPConnectionPool) -> int:
    return opened.urlopen("GET", "/", retries=Retry(0, connect=False)).status


def test_an_address_that_refuses_is_passed_over() -> None:
    with (
        serving(lambda _: Reply()) as server,
        pool(server, "127.0.0.2", "127.0.0.3", "127.0.0.1") as several,
    ):
        assert status(several) == 200


def test_an_address_that_is_silent_is_passed_over() -> None:
    with (
        serving(lambda _: Reply()) as server,
        silent(server.port, "127.0.0.2"),
        pool(server, "127.0.0.2", "127.0.0.1") as several,
    ):
        assert status(several) == 200


def test_two_silent_addresses_are_enough() -> None:
    with (
        serving(lambda _: Reply()) as server,
        silent(server.port, "127.0.0.2", "127.0.0.3"),
        pool(server, "127.0.0.2", "127.0.0.3", "127.0.0.1") as several,
    ):
        with pytest.raises(ConnectTimeoutError):
            status(several)
        assert server.seen == []
