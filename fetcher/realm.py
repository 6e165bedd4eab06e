"""Which token servers may be asked, and hence be sent the credentials.

Whoever answers for a registry chooses the realm in its challenge; without this rule it could have
the credentials sent anywhere (CVE-2026-33540 in distribution, which pins the realm to the
registry's registrable domain since 3.1).
"""

from collections.abc import Collection
from functools import cache
from ipaddress import ip_address

from publicsuffixlist import PublicSuffixList

from common.errors import UpstreamError
from fetcher.origin import Origin


def check_realm(home: Origin, realm: str, realmhosts: Collection[str]) -> None:
    """Raise UpstreamError unless the registry at `home` may send us to `realm`.

    Allowed are the registry's own host and port, hosts under its registrable domain, and what
    `realmhosts` names (`host`, or `host:port`); never a step down from https to http.
    """
    try:
        origin = Origin.of(realm)
    except ValueError as error:
        raise _refused("a realm that is no plain http or https URL") from error
    if home.scheme == "https" and origin.scheme != "https":
        raise _refused(f"the realm {origin}: not https as the registry is")
    if not (_at_home(home, origin) or _named(origin, realmhosts) or _related(home, origin)):
        raise _refused(f"the realm {origin}: not of the registry's domain, nor in realmhosts")


def _refused(what: str) -> UpstreamError:
    return UpstreamError(f"refused {what}", retryable=False)


def _at_home(home: Origin, origin: Origin) -> bool:
    return home.authority == origin.authority


def _named(origin: Origin, realmhosts: Collection[str]) -> bool:
    wanted = {entry.lower() for entry in realmhosts}
    bare = f"[{origin.host}]" if ":" in origin.host else origin.host
    return bool(wanted & {bare, origin.authority})


def _related(home: Origin, origin: Origin) -> bool:
    domain = _registrable(home.host)
    return domain is not None and domain == _registrable(origin.host)


def _registrable(host: str) -> str | None:
    """The domain somebody registered; None for addresses, single labels and public suffixes."""
    if _is_address(host):
        return None
    domain: str | None = _suffixes().privatesuffix(host)
    return domain


def _is_address(host: str) -> bool:
    # Also the short and numeric forms that resolvers take for IPv4: no registered domain's last
    # label is a number (RFC 3696, section 2).
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
