"""Answers that the kernel still holds when their connections are closed."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend.undelivered import undelivered
from tests.frontend.stage import random_bytes, stage
from tests.waiting import until

# More than a client takes that does not read, less than the kernel takes from us for it.
BODY = random_bytes(24 * 1024)


def client_of(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    """One that takes little before it reads."""
    client = socket.socket(family)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.settimeout(20)
    client.connect(address)
    return client


def received(client: socket.socket) -> bytes:
    """All there is until the other end has no more."""
    return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, host = request.param
    with socket.create_server((host, 0), family=family) as server:
        yield server


def test_it_is_undelivered_until_the_other_end_has_it(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with client_of(listener.family, listener.getsockname()[:2]) as client:
        server, _ = listener.accept()
        server.sendall(BODY)
        assert undelivered([port]) == 0  # not closed
        server.close()
        assert undelivered([port]) == 1
        assert undelivered([port + 1]) == 0
        assert received(client) == BODY
        until(lambda: undelivered([port]) == 0)


def test_a_frontend_ends_when_its_clients_have_what_it_sent(tmp_path: Path) -> None:
    with stage(tmp_path / "root", http={"draintimeout": "60s"}) as front:
        path = f"/v2/library/app/blobs/{front.store_blob('library/app', BODY)}"
        with client_of(socket.AF_INET, ("127.0.0.1", front.port)) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = client.recv(1)
            front.process.send_signal(signal.SIGTERM)
            until(lambda: undelivered([front.port]) == 1)
            with pytest.raises(subprocess.TimeoutExpired):
                front.process.wait(3)
            assert (head + received(client)).endswith(BODY)
            assert front.process.wait(15) == 0
