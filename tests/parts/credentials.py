"""How an upstream asks who is there: not at all, by password, or by bearer token
(distribution's "Token Authentication Specification"; RFC 7617; RFC 6750).
"""

import base64
import secrets
import threading
import time
import urllib.parse

from tests.parts.content import document, failure
from tests.parts.faults import Answer


class Open:
    """Everybody is let in."""

    def refusal(self, path: str, headers: dict[str, str]) -> Answer | None:
        """None when the request may go on."""
        del path, headers
        return None

    def token(self, query: str, headers: dict[str, str]) -> Answer:
        """What the token endpoint answers."""
        del query, headers
        return failure(404, "UNSUPPORTED")


class Basic(Open):
    """One user, one password."""

    def __init__(self, user: str, password: str) -> None:
        self._expected = basic(user, password)

    def refusal(self, path: str, headers: dict[str, str]) -> Answer | None:
        if headers.get("authorization") == self._expected:
            return None
        return _challenge('Basic realm="tests"')


class Bearer(Open):
    """Tokens from `realm`, each for the repositories its scopes name, for `lifetime` seconds.

    Without a user anybody gets a token; with one, only who knows the password. `announced` is
    what the answer says of the lifetime, when that is to be another than the true one;
    negative: nothing.
    """

    def __init__(
        self,
        realm: str,
        *,
        user: str | None = None,
        password: str = "",
        lifetime: float = 300.0,
        announced: float | None = None,
    ) -> None:
        self.realm = realm
        self.service = "tests"
        self._user = None if user is None else basic(user, password)
        self._lifetime = lifetime
        self._announced = lifetime if announced is None else announced
        self._tokens: dict[str, tuple[float, set[str]]] = {}
        self._lock = threading.Lock()

    def revoke(self) -> None:
        """Every token given so far is void."""
        with self._lock:
            self._tokens.clear()

    def refusal(self, path: str, headers: dict[str, str]) -> Answer | None:
        scope = _scope(path)
        given = headers.get("authorization", "")
        with self._lock:
            until, scopes = self._tokens.get(given.removeprefix("Bearer "), (0.0, set()))
        if time.monotonic() < until and (scope is None or scope in scopes):
            return None
        challenge = f'Bearer realm="{self.realm}",service="{self.service}"'
        challenge += f',scope="{scope}"' if scope else ""
        challenge += ',error="invalid_token"' if given else ""
        return _challenge(challenge)

    def token(self, query: str, headers: dict[str, str]) -> Answer:
        asked = urllib.parse.parse_qs(query)
        if self._user is not None and headers.get("authorization") != self._user:
            return failure(401, "UNAUTHORIZED")
        if asked.get("service") != [self.service]:
            return failure(400, "UNSUPPORTED")
        scopes = {scope for value in asked.get("scope", []) for scope in value.split()}
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[token] = (time.monotonic() + self._lifetime, scopes)
        body: dict[str, object] = {"token": token, "access_token": token}
        if self._announced >= 0:
            body["expires_in"] = int(self._announced)
        return document(200, body)


def basic(user: str, password: str) -> str:
    """The Authorization header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _challenge(value: str) -> Answer:
    answer = failure(401, "UNAUTHORIZED")
    answer.headers["WWW-Authenticate"] = value
    return answer


def _scope(path: str) -> str | None:
    for kind in ("/manifests/", "/blobs/", "/tags/"):
        name, found, _ = path.removeprefix("/v2/").rpartition(kind)
        if found:
            return f"repository:{name}:pull"
    return None
