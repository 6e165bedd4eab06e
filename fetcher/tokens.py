"""Bearer tokens: asked for once, kept until they expire, shared by all threads.

The protocol is distribution's "Token Authentication Specification": GET on the realm with
`service` and `scope`, answered by JSON with `token` or `access_token`, and `expires_in`.
"""

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from common import logs
from common.errors import UpstreamError
from common.reference import RepositoryName
from fetcher.answers import retry_after
from fetcher.bodies import discard, read_capped
from fetcher.credentials import Credentials
from fetcher.origin import Origin
from fetcher.throughput import Floor
from fetcher.transport import Transport

MOST = 4096
"""Tokens kept of one upstream; the oldest go first. Repositories are named by clients."""

_REPLY_BYTES = 1024 * 1024

# What the specification says when `expires_in` is missing, in seconds.
_DEFAULT_LIFETIME = 60.0
_LONGEST_LIFETIME = 24 * 3600.0
_LARGEST_MARGIN = 10.0

# Visible ASCII and nothing else: it goes into a header.
_FIT_FOR_HEADER = re.compile(r"[!-~]{1,65536}")

_NOT_TAKEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class TokenServer:
    """Where a registry says its tokens come from; `realm` has passed `realm.check_realm`."""

    realm: str
    service: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    server: TokenServer
    repository: RepositoryName

    @property
    def url(self) -> str:
        """The scope is ours, whatever the challenge proposed: pull, of the repository asked for."""
        query = {"service": self.server.service} if self.server.service else {}
        query["scope"] = f"repository:{self.repository}:pull"
        joint = "&" if urlsplit(self.server.realm).query else "?"
        return f"{self.server.realm.partition('#')[0]}{joint}{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    expires: float


class Tokens:
    """The tokens of one upstream; thread-safe."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        new_floor: Callable[[], Floor],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`credentials` are sent to token servers."""
        self._transport = transport
        self._credentials = credentials
        self._new_floor = new_floor
        self._clock = clock
        self._lock = threading.Lock()
        # By age.
        self._kept: OrderedDict[_Wanted, _Token] = OrderedDict()
        self._under_way: dict[_Wanted, Future[_Token]] = {}

    def get(
        self, server: TokenServer, repository: RepositoryName, rejected: str | None = None
    ) -> str:
        """A token to pull from `repository`, not the `rejected` one; raises UpstreamError.

        However many threads ask at once, one request is made; a failure is told to all of them.
        """
        wanted = _Wanted(server, repository)
        with self._lock:
            kept = self._kept.get(wanted)
            if kept and kept.value != rejected and self._clock() < kept.expires:
                return kept.value
            flight = self._under_way.get(wanted)
            if leads := flight is None:
                flight = self._under_way[wanted] = Future()
        if leads:
            self._fly(wanted, flight)
        return flight.result().value

    def is_there(self, server: TokenServer) -> bool:
        """Whether the server answers, without being told who asks; raises UpstreamError if not."""
        answer = self._transport.send("GET", server.realm, {})
        answer.close()
        return answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR

    def _fly(self, wanted: _Wanted, flight: "Future[_Token]") -> None:
        try:
            token = self._fetch(wanted)
        except BaseException as error:
            self._land(wanted, None)
            flight.set_exception(error)
            raise
        self._land(wanted, token)
        flight.set_result(token)

    def _land(self, wanted: _Wanted, token: _Token | None) -> None:
        # Kept before the flight is forgotten: whoever comes in between finds one of the two.
        with self._lock:
            if token:
                self._kept[wanted] = token
                self._kept.move_to_end(wanted)
                self._forget()
            del self._under_way[wanted]

    def _forget(self) -> None:
        """The oldest, where they have expired or are too many: what that costs does not grow."""
        now = self._clock()
        while self._kept:
            if len(self._kept) <= MOST and now < next(iter(self._kept.values())).expires:
                return
            self._kept.popitem(last=False)

    def _fetch(self, wanted: _Wanted) -> _Token:
        asked_at = self._clock()
        host = Origin.of(wanted.server.realm).host_shown
        basic = self._credentials.basic(host)
        headers = {"Authorization": basic} if basic else {}
        response = self._transport.send("GET", wanted.url, headers)
        floor = self._new_floor()
        try:
            # A redirect is not followed: the credentials are for the realm that was checked.
            if response.status_code != HTTPStatus.OK:
                if basic and response.status_code in _NOT_TAKEN:
                    self._credentials.rejected(host)
                raise _refusal(response)
            token = _read(read_capped(response, _REPLY_BYTES, floor), asked_at)
        finally:
            discard(response, floor)
        where = str(Origin.of(wanted.server.realm))
        log.debug("token received", realm=where, repository=wanted.repository)
        return token


def _refusal(response: requests.Response) -> UpstreamError:
    """Why there is no token, in the terms of `answers.refusal`; the body is not shown."""
    status = response.status_code
    message = f"the token server answered {status}"
    wait = retry_after(response.headers.get("Retry-After", ""))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return UpstreamError(message, status=503, code="TOOMANYREQUESTS", retry_after=wait)
    if status in {400, 401, 403, 404}:
        return UpstreamError(message, status=403, code="DENIED", retryable=False)
    return UpstreamError(
        message, retryable=status >= HTTPStatus.INTERNAL_SERVER_ERROR, retry_after=wait
    )


def _read(body: bytes | None, asked_at: float) -> _Token:
    try:
        reply = json.loads(body or b"")
        value = reply.get("token") or reply.get("access_token")
        lifetime = _lifetime(reply.get("expires_in"))
    except (ValueError, AttributeError, RecursionError) as error:
        raise UpstreamError("the token server's reply makes no sense") from error
    if not isinstance(value, str) or not _FIT_FOR_HEADER.fullmatch(value):
        raise UpstreamError("the token server's reply has no usable token")
    margin = min(_LARGEST_MARGIN, lifetime / 10)
    return _Token(value, asked_at + lifetime - margin)


def _lifetime(expires_in: Any) -> float:
    if isinstance(expires_in, int | float) and expires_in > 0:
        return float(min(expires_in, _LONGEST_LIFETIME))
    return _DEFAULT_LIFETIME
