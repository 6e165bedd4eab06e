"""Who is asking: the client's address, as far as it can be trusted.

Nothing is looked up before somebody needs to know: a hit only notes its ASGI scope.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from common import logs

# The scope of the request that the current task answers; empty outside of any.
SCOPE: ContextVar[Mapping[str, Any]] = ContextVar("SCOPE", default={})  # noqa: B039 - never written to

UNKNOWN = "unknown"
"""What all clients are called that have no address, as over a unix socket without a proxy."""

# No chain of proxies is as long; what a client made up stands before it and is not looked at.
_LONGEST_CHAIN = 32
# A host is given a whole network of IPv6 addresses (RFC 4291, section 2.5.4), so that counts as one.
_HOST_BITS = 64

_Address = IPv4Address | IPv6Address
_log = logs.get(__name__)


class Callers:
    """Names callers by address; `proxies` are the networks whose X-Forwarded-For is believed."""

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        """`proxies` in the notation of `ipaddress.ip_network`, or `unix` for a unix socket's peer."""
        self._proxies = [ip_network(proxy, strict=False) for proxy in proxies if proxy != "unix"]
        self._unix = "unix" in proxies
        self._warned = False

    def current(self) -> str:
        """The one whose request the current task answers."""
        scope = SCOPE.get()
        peer = _address(str((scope.get("client") or ("",))[0]))
        forwarded = _forwarded(scope)
        if not forwarded:
            return _name(peer)
        if not self._believes(peer):
            self._warn(peer)
            return _name(peer)
        return _name(self._nearest(peer, forwarded))

    def _nearest(self, peer: _Address | None, forwarded: list[str]) -> _Address | None:
        """The last address in the chain that is not a proxy's; those before it anybody can write."""
        for text in reversed(forwarded):
            address = _address(text)
            if address is None:
                return peer
            if not self._believes(address):
                return address
            peer = address
        return peer

    def _believes(self, address: _Address | None) -> bool:
        if address is None:
            return self._unix
        return any(address in network for network in self._proxies)

    def _warn(self, peer: _Address | None) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "X-Forwarded-For from a peer that is not in http.trustedproxies is not believed:"
                " all its clients count as one",
                peer=_name(peer),
            )


def _forwarded(scope: Mapping[str, Any]) -> list[str]:
    values = [value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
    chain = b",".join(values).decode("latin-1").split(",") if values else []
    return chain[-_LONGEST_CHAIN:]


def _address(text: str) -> _Address | None:
    """The address in `text`, with or without a port or brackets."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _name(address: _Address | None) -> str:
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> _HOST_BITS << _HOST_BITS, _HOST_BITS)))
    return str(address)
