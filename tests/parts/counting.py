"""An upstream that counts what it is asked and what it sends, and fails when told to.

It serves repositories made up by the test, or stands in front of a real registry.
"""

import http.client
import threading
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Self

from tests.parts.content import Content, failure
from tests.parts.credentials import Basic, Bearer, Open
from tests.parts.faults import Answer, Fault
from tests.parts.serving import Exchange, Server

_PIECE = 64 * 1024


@dataclass
class _Rule:
    pattern: str
    fault: Fault
    left: int | None
    methods: tuple[str, ...]

    def applies(self, exchange: Exchange) -> bool:
        return (
            (self.left is None or self.left > 0)
            and exchange.method in self.methods
            and fnmatchcase(exchange.path, self.pattern)
        )


class Upstream:
    """A registry on a free port of the loopback, running inside `with`.

    It serves `content`, which several may share; with `behind` (`host:port`) what the registry
    there answers.
    """

    def __init__(self, *, content: Content | None = None, behind: str | None = None) -> None:
        self.content = Content() if content is None else content
        self.add_blob = self.content.add_blob
        self.add_manifest = self.content.add_manifest
        # Set, a GET or HEAD of a blob is answered 307 to the same path at this URL.
        self.blobs_at: str | None = None
        self._behind = behind
        self._access: Open = Open()
        self._rules: list[_Rule] = []
        self._seen: list[Exchange] = []
        self._lock = threading.Lock()
        self._server = Server(self._answer)
        self.host = f"127.0.0.1:{self._server.port}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; again on the same port after a stop."""
        self._server.start()

    def stop(self) -> None:
        """Be gone: open connections are cut, new ones refused.

        Raises AssertionError when the upstream itself had a mistake in it.
        """
        self._server.stop()

    def require_basic(self, user: str, password: str) -> None:
        """From now on let in only who sends this user and password."""
        self._access = Basic(user, password)

    def require_bearer(
        self,
        *,
        user: str | None = None,
        password: str = "",
        lifetime: float = 300.0,
        announced: float | None = None,
        realm: str | None = None,
    ) -> Bearer:
        """From now on ask for tokens, which `/token` here gives (see `Bearer`)."""
        bearer = Bearer(
            realm or f"{self.url}/token",
            user=user,
            password=password,
            lifetime=lifetime,
            announced=announced,
        )
        self._access = bearer
        return bearer

    def fail(
        self,
        pattern: str,
        fault: Fault,
        *,
        times: int | None = None,
        methods: tuple[str, ...] = ("GET",),
    ) -> None:
        """Do this to requests whose path matches the shell pattern, the first `times` of them.

        Where several rules match a request, all of them apply.
        """
        with self._lock:
            self._rules.append(_Rule(pattern, fault, times, methods))

    def heal(self) -> None:
        """Fail no more; what fails now goes on failing."""
        with self._lock:
            self._rules.clear()

    def seen(self, pattern: str = "*", method: str | None = None) -> list[Exchange]:
        """The requests so far whose path matches, in the order of their arrival."""
        with self._lock:
            return [
                exchange
                for exchange in self._seen
                if fnmatchcase(exchange.path, pattern) and method in (None, exchange.method)
            ]

    def sent(self, pattern: str = "*") -> int:
        """Bytes of bodies handed to the network for paths that match."""
        return sum(exchange.sent for exchange in self.seen(pattern))

    def forget(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._seen.clear()

    def _answer(self, exchange: Exchange, stopping: threading.Event) -> Answer:
        with self._lock:
            self._seen.append(exchange)
            rules = [rule for rule in self._rules if rule.applies(exchange)]
            for rule in rules:
                rule.left = None if rule.left is None else rule.left - 1
        headers = dict(exchange.headers)
        for rule in rules:
            headers = rule.fault.ask(headers)
            rule.fault.delay(stopping)
        answer = plain = self._plain_answer(exchange, headers)
        for rule in rules:
            answer = rule.fault.answer(answer)
            answer = replace(answer, body=rule.fault.body(answer.body, stopping))
        return replace(answer, closing=plain.closing)

    def _plain_answer(self, exchange: Exchange, headers: dict[str, str]) -> Answer:
        if exchange.method not in ("GET", "HEAD"):
            return failure(405, "UNSUPPORTED")
        if exchange.path == "/token":
            return self._access.token(exchange.query, headers)
        refusal = self._access.refusal(exchange.path, headers)
        if refusal is not None:
            return refusal
        if self.blobs_at is not None and "/blobs/" in exchange.path:
            return Answer(307, {"Location": f"{self.blobs_at}{exchange.path}?signature=secret"})
        if self._behind is not None:
            return _relayed(self._behind, exchange, headers)
        return self.content.answer(exchange.path, exchange.query, headers)


def _relayed(behind: str, exchange: Exchange, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection(behind, timeout=60)
    target = exchange.path + (f"?{exchange.query}" if exchange.query else "")
    kept = {name: value for name, value in headers.items() if name != "connection"}
    connection.request(exchange.method, target, headers=kept)
    response = connection.getresponse()
    hidden = {"connection", "content-length", "transfer-encoding", "date", "server"}
    passed = {name: value for name, value in response.getheaders() if name.lower() not in hidden}
    length = int(response.headers.get("Content-Length") or 0)

    def close() -> None:
        response.close()
        connection.close()

    body = iter(lambda: response.read(_PIECE), b"")
    return Answer(response.status, passed, body, length, close)
