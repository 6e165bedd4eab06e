"""Connecting to a host of several addresses, some of which do not answer; reading from TLS."""

import fcntl
import os
import socket
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from urllib3 import HTTPConnectionPool, HTTPResponse, Retry, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from fetcher.addresses import AddressPolicy
from fetcher.connection import pool_classes
from tests.fetcher.certificates import certificate
from tests.fetcher.rawserver import Client, raw_serving
from tests.fetcher.recording import Reply, Server, serving
from tests.waiting import until


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


RECORD = 16 * 1024
OVERHEAD = 22  # RFC 8446, section 5.2: header, type, and the tag of every cipher in use
# Three records, which a new connection takes before anything of it is read.
BODY = bytes(range(256)) * (3 * RECORD // 256)
SENT = 3 * (RECORD + OVERHEAD)
NO_RECORD = b"this is no record"
PATIENCE = 5.0


@contextmanager
def asked(
    folder: Path, answer: bytes, then: Callable[[Client], None]
) -> Iterator[tuple[HTTPResponse, socket.socket]]:
    """A response over TLS, and the socket it comes by; then its connection is `then`'s.

    BODY is sent when the header has been read: nothing of it is in the buffer of that.
    """
    cafile, context = certificate(folder)
    has_header = threading.Event()

    def script(client: Client) -> None:
        with context.wrap_socket(client.sock, server_side=True) as sock:
            sock.recv(65536)
            sock.sendall(answer)
            has_header.wait(PATIENCE)
            sock.sendall(BODY)
            client.sock = sock
            then(client)

    with raw_serving(script) as server:
        made: Any = pool_classes(Several("127.0.0.1"), 5)["https"].ConnectionCls
        connection = made("127.0.0.1", server.port, timeout=PATIENCE, ca_certs=str(cafile))
        connection.connect()
        sock = connection.sock
        connection.request("GET", "/", preload_content=False)
        response = connection.getresponse()
        has_header.set()
        try:
            yield response, sock
        finally:
            response.close()
            connection.close()


def arrived(sock: socket.socket) -> int:
    """The bytes that the kernel holds for a socket."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), "little")


def read_once(response: HTTPResponse) -> bytes:
    """What one read gives."""
    return response.read1(1024 * 1024, decode_content=False)


def test_all_tls_records_that_have_come_are_read_at_once(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with asked(tmp_path, head, lambda client: client.stall()) as (response, sock):
        until(lambda: arrived(sock) == SENT)
        assert read_once(response) == BODY
        assert sock.gettimeout() == PATIENCE


def test_what_came_before_a_tls_stream_broke_is_read_and_then_the_break(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"  # its body ends with the connection

    def spoil(client: Client) -> None:
        os.write(client.sock.fileno(), NO_RECORD)
        client.stall()

    with asked(tmp_path, head, spoil) as (response, sock):
        until(lambda: arrived(sock) == SENT + len(NO_RECORD))
        assert read_once(response) == BODY
        with pytest.raises(HTTPError):
            read_once(response)
