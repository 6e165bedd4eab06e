"""Which addresses may be connected to: no redirect leads into the networks around us.

A redirect or a token realm is chosen by whoever answers, so its host is resolved here, every
address is judged, and the connection is made to a judged address, not to the name again: a name
that resolves differently a moment later (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Collection
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from common.errors import UpstreamError

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1


class Reach(Enum):
    """How far an address leads."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    SPECIAL = "special"  # unspecified, multicast, reserved


def reach(address: str) -> Reach:
    """How far `address` (numeric) leads; an IPv4 address inside an IPv6 one is judged itself."""
    judged = _unwrapped(ip_address(address))
    if judged.is_loopback:
        return Reach.LOOPBACK
    if judged.is_link_local:
        return Reach.LINK_LOCAL
    if judged.is_unspecified or judged.is_multicast or judged.is_reserved:
        return Reach.SPECIAL
    return Reach.PUBLIC if judged.is_global else Reach.PRIVATE


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def resolve(host: str, port: int) -> list[str]:
    """The numeric addresses of `host`, in the order to try them; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class AddressPolicy:
    """What one upstream's requests may connect to.

    The upstream's own host, and hosts the configuration names, may be anywhere. Any other host
    must be public, or lie where the upstream itself lies: a registry on a private network may
    redirect to storage on a private network, one on loopback to loopback.
    """

    def __init__(self, home: str, named: Collection[str] = ()) -> None:
        """`home` is the upstream's host, `named` are hosts without ports."""
        self._home = home
        self._named = frozenset(named) | {home}

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host` to try, all judged; raises UpstreamError for a refusal, OSError."""
        found = resolve(host, port)
        if host in self._named:
            return found
        beyond = {reach(address) for address in found} - {Reach.PUBLIC}
        if beyond and not beyond <= self._home_reaches(port):
            raise UpstreamError(
                f"refused to connect to {host}: it leads to {beyond.pop().value} addresses",
                retryable=False,
            )
        return found

    def _home_reaches(self, port: int) -> set[Reach]:
        return {reach(address) for address in resolve(self._home, port)}
