"""How far addresses lead, and which may be connected to."""

import pytest

from common.errors import UpstreamError
from fetcher.addresses import AddressPolicy, Reach, reach


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700:4700::1111", Reach.PUBLIC),
        ("64:ff9b::808:808", Reach.PUBLIC),
        ("127.0.0.1", Reach.LOOPBACK),
        ("127.255.255.254", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("64:ff9b::7f00:1", Reach.LOOPBACK),
        ("2002:7f00:1::", Reach.LOOPBACK),
        ("10.1.2.3", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE),
        ("192.168.1.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("192.0.2.1", Reach.PRIVATE),
        ("fd00::1", Reach.PRIVATE),
        ("169.254.169.254", Reach.LINK_LOCAL),
        ("fe80::1", Reach.LINK_LOCAL),
        ("::ffff:169.254.169.254", Reach.LINK_LOCAL),
        ("0.0.0.0", Reach.SPECIAL),
        ("::", Reach.SPECIAL),
        ("224.0.0.1", Reach.SPECIAL),
        ("255.255.255.255", Reach.SPECIAL),
    ],
)
def test_an_address_leads_as_far_as_it_does(address: str, expected: Reach) -> None:
    assert reach(address) is expected


@pytest.mark.parametrize(
    ("home", "host"),
    [
        ("8.8.8.8", "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1"),
        ("10.0.0.1", "192.168.0.1"),
        ("127.0.0.1", "localhost"),
        ("169.254.1.1", "169.254.1.1"),
    ],
)
def test_public_targets_and_neighbours_of_the_upstream_are_allowed(home: str, host: str) -> None:
    assert AddressPolicy(home).addresses(host, 443)


def test_a_host_that_the_configuration_names_may_be_anywhere() -> None:
    assert AddressPolicy("8.8.8.8", ["10.0.0.1"]).addresses("10.0.0.1", 443) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("home", "host"),
    [
        ("8.8.8.8", "10.0.0.1"),
        ("8.8.8.8", "localhost"),
        ("8.8.8.8", "169.254.169.254"),
        ("10.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "169.254.169.254"),
        ("127.0.0.1", "10.0.0.1"),
    ],
)
def test_other_networks_are_refused(home: str, host: str) -> None:
    with pytest.raises(UpstreamError, match="refused to connect") as caught:
        AddressPolicy(home).addresses(host, 443)
    assert not caught.value.retryable
