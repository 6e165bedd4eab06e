"""`auth`: who is asked for a name, and how; one scheme, or none.

Facts: registry/auth of distribution v2.8.3 and v3.1.1. The schemes are maps there, so that
variables make their keys in lower case.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from common.config import leaves
from common.config.findings import Findings
from common.config.shapes import Anything, Key, Leaf, ListOf, Section, section, setting, shaped

ASYMMETRIC = (
    *("EdDSA", "ES256", "ES384", "ES512"),
    *("PS256", "PS384", "PS512", "RS256", "RS384", "RS512"),
)
"""Algorithms whose keys only verify: a stolen configuration signs no tokens (RFC 7518, RFC 8037)."""
SYMMETRIC = ("HS256", "HS384", "HS512")
"""Algorithms whose key also signs: used only where `signingalgorithms` names them."""

_ALGORITHMS = {name.lower(): name for name in (*ASYMMETRIC, *SYMMETRIC)}
_SCHEMES = ("htpasswd", "token", "silly")


def _printable(what: str, kind: str = "text") -> Leaf:
    # It stands in a header (RFC 9110, section 11.5).
    return leaves.matching(re.compile(r"[\x20-\x7e]+"), f"{what}, in plain ASCII", kind)


def _algorithm() -> Leaf:
    def read(written: str) -> str:
        if written.lower() not in _ALGORITHMS:
            raise ValueError
        return _ALGORITHMS[written.lower()]

    return Leaf(read, f"expected one of {', '.join(_ALGORITHMS.values())}", kind="algorithm")


@dataclass(frozen=True, slots=True)
class Htpasswd:
    """`auth.htpasswd`: names and passwords in a file (bcrypt)."""

    realm: str = setting(_printable("what clients show their users"), "")
    path: str = setting(leaves.text("a path"), "")


@dataclass(frozen=True, slots=True)
class Token:
    """`auth.token`: tokens that another server signs (distribution's token specification)."""

    realm: str = setting(_printable("the token server's address", "address"), "")
    """Where clients get a token."""
    service: str = setting(_printable("our name at the token server"), "")
    """A token's audience must have it."""
    issuer: str = setting(leaves.text(), "")
    """A token's issuer must be it."""
    rootcertbundle: str = setting(leaves.text("a path"), "")
    """PEM file: certificates whose keys sign tokens, or certify those that do."""
    jwks: str = setting(leaves.text("a path"), "")
    """JSON Web Key Set: keys that sign tokens (RFC 7517)."""
    signingalgorithms: Sequence[str] = setting(ListOf(_algorithm()), ())
    """Those a token may be signed with; empty once read: all but the symmetric ones."""
    autoredirect: bool = setting(leaves.boolean(), default=False)
    """The realm is `autoredirectpath` on the host that the client asked."""
    autoredirectpath: str = setting(
        leaves.matching(re.compile(r"/[!#-\[\]-~]*"), "a path", "path"), ""
    )


@dataclass(frozen=True, slots=True)
class Silly:
    """`auth.silly`: whoever says anything at all is let in."""

    realm: str = setting(_printable("text"), "")
    service: str = setting(_printable("text"), "")


@dataclass(frozen=True, slots=True)
class Auth:
    """`auth`: at most one of them is there; none: everybody may come in."""

    htpasswd: Htpasswd | None = field(default=None, metadata=shaped(section(Htpasswd, is_map=True)))
    token: Token | None = field(default=None, metadata=shaped(section(Token, is_map=True)))
    silly: Silly | None = field(default=None, metadata=shaped(section(Silly, is_map=True)))


SECTION: Section = Section(
    # distribution takes `auth: none`, in any form, for no section at all.
    {**section(Auth, is_map=True).keys, "none": Key(Anything())},
    model=Auth,
    is_map=True,
    word=True,
)


def assemble(auth: Auth, *, is_encrypted: bool, findings: Findings) -> Auth:
    """The scheme; what is missing is told to `findings`.

    `is_encrypted` says whether nobody on the way can read what clients send us.
    """
    chosen = [name for name in _SCHEMES if getattr(auth, name) is not None]
    if len(chosen) > 1:
        findings.wrong(("auth",), f"expected one of {', '.join(_SCHEMES)}, not several")
    for name in chosen:
        _require(auth, name, findings)
    _advise(auth, is_encrypted, findings)
    if auth.token is not None and auth.token.autoredirect and not auth.token.autoredirectpath:
        return replace(auth, token=replace(auth.token, autoredirectpath="/auth/token"))
    return auth


def _require(auth: Auth, name: str, findings: Findings) -> None:
    scheme = getattr(auth, name)
    required = {"htpasswd": "realm path", "token": "service issuer", "silly": "realm service"}[name]
    keys = required.split()
    if isinstance(scheme, Token):
        keys += [] if scheme.autoredirect else ["realm"]
        if not (scheme.rootcertbundle or scheme.jwks):
            findings.wrong(
                ("auth", name, "rootcertbundle"),
                "expected the file of certificates, or jwks, that tokens are verified with",
            )
    for key in keys:
        path = ("auth", name, key)
        if not getattr(scheme, key) and not findings.known(path):
            findings.wrong(path, f"expected a value: auth.{name} does not work without")


def _advise(auth: Auth, is_encrypted: bool, findings: Findings) -> None:
    if auth.silly is not None:
        findings.warn(
            ("auth", "silly"), "lets in whoever sends an Authorization header; for tests only"
        )
    if auth.htpasswd is not None and not is_encrypted:
        findings.warn(
            ("auth", "htpasswd"),
            "passwords travel unencrypted; set http.tls, or let a proxy in front encrypt",
        )
    if auth.token is not None and any(name in SYMMETRIC for name in auth.token.signingalgorithms):
        findings.warn(
            ("auth", "token", "signingalgorithms"),
            "whoever can read the key of an HS algorithm can sign tokens with it",
        )
