"""`auth.token`: a token that another server signed, and what it grants.

distribution's token specification and registry/auth/token; RFC 6750, RFC 7519.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import falcon.asgi
import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from common import logs
from common.config.auth import ASYMMETRIC, Token
from frontend.auth import keys
from frontend.auth.access import Access, Action, Refused
from frontend.auth.challenge import bearer
from frontend.auth.remembering import Memory
from frontend.callers import Callers

# Seconds that clocks may differ by, as distribution allows.
_LEEWAY = 60.0

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")

_INVALID = "invalid_token"
_INSUFFICIENT = "insufficient_scope"

_log = logs.get(__name__)

# What reading and verifying a token may come to.
_UNREADABLE = (
    jwt.PyJWTError,
    keys.Untrusted,
    UnsupportedAlgorithm,
    ArithmeticError,
    AttributeError,
    RecursionError,
    TypeError,
    ValueError,
)

# distribution does not look at these, and token servers fill them as they like.
_CHECKED: Any = {
    "require": ["exp"],
    "verify_iat": False,
    "verify_sub": False,
    "verify_jti": False,
}


@dataclass(frozen=True, slots=True)
class _Grant:
    user: str
    actions: dict[tuple[str, str], frozenset[str]]

    def allows(self, access: Access) -> bool:
        granted = self.actions.get((access.type, access.name), frozenset())
        return access.action in granted or Action.ALL in granted


class TokenScheme:
    """Knows the keys, and the tokens it has verified."""

    def __init__(self, settings: Token, host: str, callers: Callers) -> None:
        """`host` is `http.host`, for `autoredirect`. Raises ConfigError."""
        self._callers = callers
        self._settings = settings
        self._host = host
        self._keys = keys.load(settings)
        self._algorithms = frozenset(settings.signingalgorithms or ASYMMETRIC)
        self._memory: Memory[_Grant] = Memory()

    async def admit(self, req: falcon.asgi.Request, wanted: Iterable[Access]) -> str:
        """See `Scheme`."""
        authorization = req.get_header("Authorization")
        if not authorization or authorization[:7].lower() != "bearer ":
            raise self._refused(req, wanted)
        key = self._memory.key(authorization)
        grant = self._memory.recall(key)
        if grant is None:
            grant = self._verify(key, authorization[7:].strip(), req, wanted)
        if not all(grant.allows(access) for access in wanted):
            raise self._refused(req, wanted, _INSUFFICIENT)
        return grant.user

    def _verify(
        self, key: bytes, token: str, req: falcon.asgi.Request, wanted: Iterable[Access]
    ) -> _Grant:
        try:
            claims = self._claims(token)
            grant = _granted(claims)
            self._memory.note(key, grant, float(claims["exp"]) + _LEEWAY)
        except _UNREADABLE as error:
            # What is wrong with it, never the token.
            reason = str(error) if isinstance(error, keys.Untrusted) else type(error).__name__
            _log.info("token refused", because=reason, client=self._callers.current())
            raise self._refused(req, wanted, _INVALID) from None
        return grant

    def _claims(self, token: str) -> dict[str, Any]:
        key = self._keys.of(jwt.get_unverified_header(token))
        settings = self._settings
        return jwt.decode(
            token,
            key.key,
            algorithms=sorted(key.algorithms & self._algorithms),
            audience=settings.service,
            issuer=settings.issuer,
            leeway=_LEEWAY,
            options=_CHECKED,
        )

    def _refused(
        self, req: falcon.asgi.Request, wanted: Iterable[Access], error: str = ""
    ) -> Refused:
        return Refused(bearer(self._realm(req), self._settings.service, wanted, error))

    def _realm(self, req: falcon.asgi.Request) -> str:
        if not self._settings.autoredirect:
            return self._settings.realm
        path = self._settings.autoredirectpath
        if self._host:
            return self._host + path
        # As distribution: who says nothing of how the client came is taken for an encrypting proxy.
        stated = req.get_header("X-Forwarded-Proto")
        scheme = stated if stated in {"http", "https"} else "https"
        host = req.get_header("Host") or ""
        return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}{path}"


def _granted(claims: dict[str, Any]) -> _Grant:
    """What the token says of who has it; raises one of _UNREADABLE."""
    actions: dict[tuple[str, str], frozenset[str]] = {}
    for entry in claims.get("access") or ():
        resource = (str(entry.get("type")), str(entry.get("name")))
        granted = frozenset(map(str, entry.get("actions") or ()))
        actions[resource] = actions.get(resource, frozenset()) | granted
    return _Grant(str(claims.get("sub") or ""), actions)
