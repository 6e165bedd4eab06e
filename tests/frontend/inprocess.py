"""The ASGI application in the test's own process: what it answers, and what it counted for that."""

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from common.broker.opening import open_broker
from common.config import Document, load
from common.digest import Digest
from common.messages import Kind
from common.reference import RepositoryName, Tag
from frontend import counting
from frontend.app import create_app
from frontend.callers import SCOPE
from frontend.fileparts import FilePart
from frontend.lane import Lane
from frontend.main import build_services
from frontend.services import Services, Terms
from frontend.stream import Cut

Header = tuple[bytes, bytes]
T = TypeVar("T")

_COUNTED = ("BLOB_HITS", "MANIFEST_HITS", "STALE_ANSWERS")


@dataclass(frozen=True)
class Answer:
    """An answer but for its X-Request-ID; `counted` is what grew for it."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    counted: dict[str, int]
    cut: bool


@dataclass
class House:
    """The lane, what is behind it, and the storage that both look at."""

    lane: Lane
    services: Services
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its outcome, on the loop that the services live on."""
        return self.runner.run(work)

    def store(self, kind: Kind, content: bytes, repository: str = "library/a") -> Digest:
        """Have it in storage, and linked."""
        digest = Digest.of(content)
        self.services.blobs.put(digest, content)
        self.services.links.add(kind, RepositoryName(repository), digest)
        return digest

    def tag(self, tag: str, digest: Digest, repository: str = "library/a") -> None:
        """Point a tag to it."""
        self.services.tags.point(RepositoryName(repository), Tag(tag), digest)

    def both(
        self, method: str, path: str, query: bytes = b"", headers: Sequence[Header] = ()
    ) -> tuple[Answer, Answer]:
        """By the lane, and by the application alone."""
        return (
            self.ask(method, path, query, headers),
            self.ask(method, path, query, headers, app=self.lane.app),
        )

    def ask(
        self,
        method: str,
        path: str,
        query: bytes = b"",
        headers: Sequence[Header] = (),
        app: Any = None,
    ) -> Answer:
        """One request, by the lane unless another `app` is given."""
        return self.run(_ask(app or self.lane, method, path, query, headers))

    def at_once(
        self, method: str, path: str, query: bytes = b"", headers: Sequence[Header] = ()
    ) -> Answer | None:
        """The same request as it stands on a connection; None where the lane leaves it alone."""
        target = path.encode() + (b"?" + query if query else b"")
        lines = [b"%b %b HTTP/1.1" % (method.encode(), target), b"host: registry"]
        lines += [b"%b: %b" % header for header in headers]
        before = _counted()
        answer = self.lane.at_once(b"\r\n".join([*lines, b"", b""]))
        grown = _grown(before)
        if answer is None:
            assert not any(grown.values())
            return None
        fields, body = answer
        pairs = [field.split(b": ", 1) for field in fields.split(b"\r\n")[:-1]]
        return Answer(200, tuple((name, value) for name, value in pairs), body, grown, cut=False)


@contextmanager
def house(
    root: Path, headers: Sequence[tuple[str, str]] = (("X-Content-Type-Options", "nosniff"),)
) -> Iterator[House]:
    """With two upstreams, and in maintenance, so that what is missing is refused at once; but uses
    are marked as at other times.
    """
    nobody = "http://127.0.0.1:9"
    text = json.dumps(
        {
            "version": 0.1,
            "storage": {
                "filesystem": {"rootdirectory": str(root)},
                "maintenance": {"readonly": {"enabled": True}},
            },
            "proxy": {
                "remoteurl": nobody,
                "upstreams": [{"name": "ghcr.io", "remoteurl": nobody}],
            },
        }
    )
    config = load(None, {}, Document("test.yml", text)).config
    broker = open_broker(config.queue.url, name="test")
    services = build_services(config, broker)
    services = replace(services, terms=dict.fromkeys(services.terms, Terms(60.0, 3600.0)))
    with asyncio.Runner() as runner:
        lane = create_app(
            services,
            patience=1.0,
            maxtags=100,
            maxentries=100,
            headers=headers,
        )
        assert isinstance(lane, Lane)
        try:
            yield House(lane, services, runner)
        finally:
            services.claims.close()
            broker.close()


async def _ask(app: Any, method: str, path: str, query: bytes, headers: Sequence[Header]) -> Answer:
    said: list[Any] = []

    async def send(message: Any) -> None:
        body = message.get("body")
        if isinstance(body, FilePart):  # what the connection would send
            message = {**message, "body": os.pread(body.file.fd, len(body), body.start)}
        said.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"registry"), *headers],
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    SCOPE.set(scope)
    before = _counted()
    cut = False
    try:
        await app(scope, receive, send)
    except Cut:
        cut = True
    start, *rest = said
    kept = tuple(
        (name, value) for name, value in start["headers"] if name.lower() != b"x-request-id"
    )
    body = b"".join(message.get("body", b"") for message in rest)
    return Answer(
        start["status"],
        kept,
        body,
        _grown(before),
        cut,
    )


def _grown(before: dict[str, int]) -> dict[str, int]:
    return {name: value - before[name] for name, value in _counted().items()}


def _counted() -> dict[str, int]:
    by_upstream = {
        f"{name}/{upstream}": getattr(counting, name)[upstream].value
        for name in _COUNTED
        for upstream in ("", "ghcr.io")
    }
    return {
        **by_upstream,
        "blob bytes": counting.BLOB_BYTES.value,
        "manifest bytes": counting.MANIFEST_BYTES.value,
    }
