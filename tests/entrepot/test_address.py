import socket

import pytest

from common.config import Http
from entrepot.address import Address, address_of


@pytest.mark.parametrize(
    ("addr", "shown"),
    [
        (":5000", "http://127.0.0.1:5000"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        ("[::]:5000", "http://[::1]:5000"),
        ("192.0.2.7:80", "http://192.0.2.7:80"),
        ("mirror.example:5000", "http://mirror.example:5000"),
    ],
)
def test_an_address_is_shown_as_one_that_can_be_typed(addr: str, shown: str) -> None:
    assert str(address_of(Http(addr=addr))) == shown


def test_a_unix_socket_is_an_address_too() -> None:
    address = address_of(Http(net="unix", addr="/run/entrepot.sock"))
    assert str(address) == "unix:/run/entrepot.sock"
    assert address.configured == "/run/entrepot.sock"


@pytest.mark.parametrize("addr", [":5000", "127.0.0.1:80", "[::1]:5000"])
def test_an_address_is_handed_on_as_it_was_configured(addr: str) -> None:
    assert address_of(Http(addr=addr)).configured == addr


def test_port_0_becomes_a_port_that_is_free() -> None:
    settled = Address("127.0.0.1", 0).settled()
    assert settled.port > 0
    assert not settled.is_taken()
    assert settled.settled() == settled


def test_a_port_is_taken_while_somebody_listens_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1])
        assert address.is_taken()
    assert not address.is_taken()


def test_a_connection_to_nobody_fails_at_once() -> None:
    address = Address("127.0.0.1", 0).settled()
    with pytest.raises(ConnectionRefusedError):
        address.connect()
