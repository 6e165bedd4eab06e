"""Who may look, who may change something, and that it was them who asked for it.

Everybody may look who reaches the address. With a file of accounts, those that have one may, and
may change things. Without, things may be changed where the address is this machine's loopback;
there the name that a browser used for it must be the loopback's too, or a page from elsewhere could
have its own name lead here (DNS rebinding) and speak with the visitor's rights.

A change is a POST with the session's token, which no other site's page can read. Where the browser
says from which page it comes (Origin, Sec-Fetch-Site), that must be one of ours.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from common.config import Config
from common.config.model import Debug
from entrepot.console.accounts import Accounts
from entrepot.console.web import Refusal, Request

_COOKIE = "entrepot-console"
_SESSION = re.compile(r"[A-Za-z0-9_-]{22}")

FIELD = "token"
"""The field of a form that holds the session's token."""

_OPEN = (
    "Look, but do not touch: the console listens to more than this machine. Set"
    " http.debug.console.htpasswd, or have http.debug.addr on the loopback, to change things here."
)
_MAINTENANCE = "The cache is read-only for maintenance (storage.maintenance.readonly)."


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: an account's name, else an address."""

    name: str
    barred: str
    """Why nothing may be changed; empty: it may."""
    token: str
    session: str


class Doorkeeper:
    """Of one process, with its configuration."""

    def __init__(self, config: Config) -> None:
        debug = config.http.debug
        self._accounts = Accounts(debug.console.htpasswd) if debug.console.htpasswd else None
        self._is_local = is_loopback(debug)
        self._is_readonly = config.maintenance.readonly.enabled
        self._secret = secrets.token_bytes(32)

    def admit(self, request: Request) -> Visitor:
        """The visitor; raises Refusal where they are not to come in."""
        name, barred = request.peer, ""
        if self._accounts is not None:
            name = self._accounts.name_of(request.headers.get("Authorization", ""), request.peer)
        elif not self._is_local:
            barred = _OPEN
        elif not _is_local_name(request.headers.get("Host", "")):
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "The console is called localhost here; open it by that name.",
            )
        session = _session(request.headers) or secrets.token_urlsafe(16)
        return Visitor(
            name, _MAINTENANCE if self._is_readonly else barred, self._token(session), session
        )

    def check_change(self, request: Request, visitor: Visitor) -> None:
        """Raise Refusal unless this visitor may change something, and means to."""
        if visitor.barred:
            raise Refusal(HTTPStatus.FORBIDDEN, visitor.barred)
        shown = request.form.get(FIELD, "")
        if not _is_from_here(request.headers) or not hmac.compare_digest(
            shown.encode(errors="replace"), visitor.token.encode()
        ):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "This did not come from a page of the console as it is now. Open it again.",
            )

    def _token(self, session: str) -> str:
        return hmac.new(self._secret, session.encode(), hashlib.sha256).hexdigest()


def cookie(visitor: Visitor) -> str:
    """What has the browser know the session again."""
    return f"{_COOKIE}={visitor.session}; Path=/; HttpOnly; SameSite=Strict"


def is_loopback(debug: Debug) -> bool:
    """Whether only this machine reaches the console."""
    return _is_local_host(debug.listen[0])


def _is_local_name(host: str) -> bool:
    try:
        return _is_local_host(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_local_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _session(headers: Message) -> str | None:
    try:
        found = SimpleCookie(headers.get("Cookie", "")).get(_COOKIE)
    except CookieError:
        return None
    return found.value if found and _SESSION.fullmatch(found.value) else None


def _is_from_here(headers: Message) -> bool:
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None and site != "same-origin":
        return False
    # Whatever ends TLS before us is the visitor's own: it changes the scheme, not the host.
    return origin is None or origin.partition("://")[2] == headers.get("Host", "")
