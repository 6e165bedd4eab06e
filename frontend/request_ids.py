"""One name for each request: in all it causes, here and in the fetchers, so that a search for it
finds them all.

A proxy or client that has a name for the request already says so in X-Request-ID. The name is
made when it is first asked for: a hit that nobody logs needs none.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from frontend.callers import SCOPE

# What the usual proxies and tracers make; nothing that could pass for another field of a log.
_SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_KEY = "entrepot.request_id"


def current() -> str:
    """The name of the request that this task answers; a new one outside of any."""
    return current_or_none() or _made()


def current_or_none() -> str | None:
    """As `current`; None outside of any request."""
    scope = SCOPE.get()
    return of(scope) if scope else None


def of(scope: Mapping[str, Any]) -> str:
    """The name of the request with this ASGI scope, the same every time."""
    name: str | None = scope.get(_KEY)
    if name is None:
        name = _given(scope) or _made()
        if isinstance(scope, dict):
            scope[_KEY] = name
    return name


def _given(scope: Mapping[str, Any]) -> str | None:
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id" and _SANE.fullmatch(value):
            return str(value, "ascii")
    return None


def _made() -> str:
    return secrets.token_hex(8)
