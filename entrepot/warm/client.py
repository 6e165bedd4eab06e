"""Manifests and blobs of one image, asked for again and again as patience has it."""

import hashlib
import http.client
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TypeVar
from urllib.parse import urlencode

from common.digest import Digest
from common.insight.manifests import LARGEST
from common.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
)
from entrepot.failure import Failure
from entrepot.warm.access import Access
from entrepot.warm.images import Image
from entrepot.warm.server import Server

_ACCEPTED = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}, {OCI_ARTIFACT}"
_CHUNK = 1 << 18

# Seconds without a byte: an upstream may pause, and the cache tries several times by itself.
_SILENCE = 120.0
# Tries in a row that bring nothing, and the pauses between them in seconds.
_TRIES = 6
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
# An answer that asking again may change (RFC 9110, section 15; 429: RFC 6585).
_PASSING = {408, 429, 500, 502, 503, 504}


T = TypeVar("T")


class _Again(Exception):
    """It did not work, and may the next time, after `pause` seconds where the server said so."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class Client:
    """Pulls of one repository through the server; any thread may. `stop` ends all waiting."""

    def __init__(self, server: Server, access: Access, image: Image, stop: threading.Event) -> None:
        self._server = server
        self._access = access
        self._stop = stop
        self._has_answered = False
        repository, query = image.repository, {"ns": image.host}
        if image.host in {server.netloc, server.host}:
            query = {}  # named as if it were a registry itself: the path says it all
        self._base = f"/v2/{repository}"
        self._query = f"?{urlencode(query)}" if query else ""

    def manifest(self, reference: str) -> bytes:
        """The manifest of a tag or digest; raises Failure."""

        def ask() -> bytes:
            with closing(self._ask("manifests", reference, {"Accept": _ACCEPTED})) as response:
                body = response.read(LARGEST + 1)
                if response.length or len(body) > LARGEST:
                    raise _Again("the manifest was cut short")
                return body

        return self._patiently(ask, lambda: False)

    def blob(self, digest: Digest, size: int, arrived: Callable[[int], None]) -> int:
        """Read a blob and compare it with its digest; its size in bytes. Raises Failure.

        `arrived` is told of every piece. After a broken connection it goes on where it was.
        """
        transfer = _Transfer(digest, size, arrived)

        def ask() -> int:
            with closing(self._ask("blobs", digest, transfer.range)) as response:
                return transfer.take(response, self._stop)

        return self._patiently(ask, transfer.has_moved)

    def _patiently(self, ask: Callable[[], T], has_moved: Callable[[], bool]) -> T:
        tries = 0
        while True:
            try:
                return ask()
            except _Again as again:
                why, pause = str(again), again.pause
            except (OSError, http.client.HTTPException) as error:
                why, pause = f"{self._server}: {str(error) or type(error).__name__}", None
                if not self._has_answered:
                    advice = "does the cache run there? `entrepot warm --server URL` names another"
                    raise Failure(why, advice) from error
            tries = 0 if has_moved() else tries + 1
            if tries >= _TRIES or self._stop.is_set():
                advice = "run it again to go on from here; `entrepot status` says what is wrong"
                raise Failure(why, advice)
            grown = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**tries)
            self._stop.wait(grown if pause is None else min(pause, _LONGEST_PAUSE))

    def _ask(
        self, kind: str, reference: str, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        target = f"{self._base}/{kind}/{reference}{self._query}"
        for is_last in (False, True):
            sent = self._access.headers
            response = self._server.get(target, {**headers, **sent}, _SILENCE)
            self._has_answered = True
            if response.status in {http.client.OK, http.client.PARTIAL_CONTENT}:
                return response
            with closing(response):
                if response.status == http.client.UNAUTHORIZED and not is_last:
                    challenge = response.headers.get("WWW-Authenticate", "")
                    self._access.meet(challenge, self._server, sent)
                    continue
                self._refuse(response)
        raise AssertionError("unreachable")

    def _refuse(self, response: http.client.HTTPResponse) -> None:
        why = f"{self._server} answered {response.status}{_said(response.read(1 << 16))}"
        if response.status not in _PASSING:
            raise Failure(why, _ADVICE.get(response.status, ""))
        after = response.headers.get("Retry-After", "")
        raise _Again(why, float(after) if after.isdecimal() else None)


_ADVICE = {
    401: "give --username and --password-file of an account that may pull",
    403: "is the repository allowed (proxy.allow, proxy.deny), and is the account?",
    404: "is the name right, and its registry one of proxy.upstreams? `entrepot check` lists them",
}


class _Transfer:
    """One blob on its way, over as many connections as it takes."""

    def __init__(self, digest: Digest, size: int, arrived: Callable[[int], None]) -> None:
        self._digest = digest
        self._size = size
        self._arrived = arrived
        self._hasher: hashlib._Hash = digest.hasher()
        self._position = 0
        self._seen = 0

    @property
    def range(self) -> dict[str, str]:
        return {"Range": f"bytes={self._position}-"} if self._position else {}

    def has_moved(self) -> bool:
        """Whether there is more than when this was asked last."""
        moved, self._seen = self._position > self._seen, self._position
        return moved

    def take(self, response: http.client.HTTPResponse, stop: threading.Event) -> int:
        if self._position and response.status == http.client.OK:
            self._begin_again()
        buffer = memoryview(bytearray(_CHUNK))
        while count := response.readinto(buffer):
            self._hasher.update(buffer[:count])
            self._position += count
            self._arrived(count)
            if stop.is_set():
                raise _Again("interrupted")
        if response.length:
            raise _Again(f"{self._digest}: the connection was closed {response.length} bytes short")
        if self._hasher.hexdigest() != self._digest.hex:
            self._begin_again()
            self._seen = 0
            raise _Again(f"{self._digest}: the bytes are not what the digest says")
        return self._position

    def _begin_again(self) -> None:
        self._arrived(-self._position)
        self._hasher, self._position = self._digest.hasher(), 0


def _said(body: bytes) -> str:
    """What an error of the specification's form says, bounded and on one line."""
    try:
        first = json.loads(body)["errors"][0]
        said = f"{first.get('code', '')}: {first.get('message', '')}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return " " + "".join(letter if letter.isprintable() else " " for letter in said)[:300]
