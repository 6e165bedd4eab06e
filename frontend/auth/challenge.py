"""What WWW-Authenticate says: where, and for what, a client may show who it is."""

from collections.abc import Iterable

from frontend.auth.access import Access


def basic(realm: str) -> str:
    """A name and a password are wanted (RFC 7617)."""
    return f"Basic realm={_quoted(realm)}"


def bearer(realm: str, service: str, wanted: Iterable[Access], error: str = "") -> str:
    """A token is wanted that grants what is wanted (distribution's token specification).

    `error` says why the one that was shown does not do (RFC 6750, section 3.1).
    """
    challenge = f"Bearer realm={_quoted(realm)},service={_quoted(service)}"
    scope = _scope(wanted)
    if scope:
        challenge += f",scope={_quoted(scope)}"
    if error:
        challenge += f",error={_quoted(error)}"
    return challenge


def _scope(wanted: Iterable[Access]) -> str:
    resources: dict[tuple[str, str], list[str]] = {}
    for access in wanted:
        resources.setdefault((access.type, access.name), []).append(access.action)
    return " ".join(f"{kind}:{name}:{','.join(do)}" for (kind, name), do in resources.items())


def _quoted(text: str) -> str:
    """A quoted-string (RFC 9110, section 5.6.4) of printable ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
