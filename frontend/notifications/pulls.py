"""From an answer that went out to a pull, and from a pull to distribution's event.

distribution: notifications/event.go and bridge.go. It tells of every manifest and every blob that
was asked for with GET or HEAD and is there, whether it was in the cache or not; fills themselves
are no pushes and not told.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from frontend import request_ids
from frontend.observing import Seen

ACTION = "pull"

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_PULLED = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull, as a client made it. `repository` is the name it used, `namespace` its `ns`."""

    repository: str
    namespace: str | None
    kind: str
    reference: str
    digest: str
    media_type: str
    size: int
    host: str
    scheme: str
    method: str
    user_agent: str
    address: str
    user: str
    request_id: str
    at: datetime

    @property
    def tag(self) -> str:
        """The tag it asked for; empty where it asked by digest."""
        return "" if ":" in self.reference else self.reference


def pull_of(seen: Seen, prefix: str, address: str) -> Pull | None:
    """The pull that an answer was; None where it was none, or was not sent to its end."""
    scope = seen.scope
    if seen.status not in _PULLED or not seen.whole or scope["method"] not in {"GET", "HEAD"}:
        return None
    match = _PATH.fullmatch(scope["path"].removeprefix(prefix))
    digest = seen.header(b"docker-content-digest")
    if match is None or not digest:
        return None
    return Pull(
        repository=match["name"],
        namespace=seen.header(b"oci-namespace") or None,
        kind=match["kind"],
        reference=match["reference"],
        digest=digest,
        media_type=seen.header(b"content-type"),
        size=_size(seen),
        host=seen.asked(b"host"),
        scheme=scope["scheme"],
        method=scope["method"],
        user_agent=seen.asked(b"user-agent"),
        address=address,
        user=str(scope.get("entrepot.user", "")),
        request_id=request_ids.of(scope),
        at=datetime.now(UTC),
    )


def _size(seen: Seen) -> int:
    """Of the whole, also where a part was asked for."""
    _, _, total = seen.header(b"content-range").partition("/")
    text = total or seen.header(b"content-length")
    return int(text) if text.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes events.

    `stored` gives the name a repository is stored and known by here, however it was addressed.
    `address` is what clients see us as (`http.host`), empty where each request says it; `relative`
    leaves it out of links. `manifest` gives a manifest's bytes by its digest, None without
    references. `source` is this process.
    """

    stored: Callable[[str, str | None], str]
    address: str
    prefix: str
    relative: bool
    manifest: Callable[[str], bytes | None] | None
    source: Mapping[str, str]

    def event(self, pull: Pull) -> dict[str, Any]:
        """The event of a pull; may read from storage."""
        return {
            "id": str(uuid.uuid4()),
            "timestamp": pull.at.isoformat().replace("+00:00", "Z"),
            "action": ACTION,
            "target": self._target(pull),
            "request": {
                "id": pull.request_id,
                "addr": pull.address,
                "host": pull.host,
                "method": pull.method,
                "useragent": pull.user_agent,
            },
            "actor": {"name": pull.user} if pull.user else {},
            "source": self.source,
        }

    def _target(self, pull: Pull) -> dict[str, Any]:
        target: dict[str, Any] = {
            "mediaType": pull.media_type,
            "digest": pull.digest,
            "size": pull.size,
            "length": pull.size,
            "repository": self.stored(pull.repository, pull.namespace),
            "url": self._url(pull),
        }
        if pull.tag:
            target["tag"] = pull.tag
        references = self._references(pull)
        if references:
            target["references"] = references
        return target

    def _url(self, pull: Pull) -> str:
        base = "" if self.relative else self.address or f"{pull.scheme}://{pull.host}"
        scope = f"?ns={pull.namespace}" if pull.namespace else ""
        return f"{base}{self.prefix}/v2/{pull.repository}/{pull.kind}/{pull.digest}{scope}"

    def _references(self, pull: Pull) -> list[Any]:
        if self.manifest is None or pull.kind != "manifests":
            return []
        body = self.manifest(pull.digest)
        return [] if body is None else references(body)


def references(body: bytes) -> list[Any]:
    """The descriptors in a manifest: configuration and layers, or an index's manifests."""
    try:
        manifest: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(manifest, dict):
        return []
    listed = [manifest.get("config"), *_list(manifest, "layers"), *_list(manifest, "manifests")]
    return [descriptor for descriptor in listed if isinstance(descriptor, dict)]


def _list(manifest: dict[str, Any], name: str) -> list[Any]:
    value = manifest.get(name)
    return value if isinstance(value, list) else []


class Told:
    """A pull and its event, composed by the first who needs it, on that one's thread."""

    def __init__(self, pull: Pull, composer: Composer) -> None:
        self.pull = pull
        self._composer = composer
        self._lock = threading.Lock()
        self._event: dict[str, Any] | None = None

    def event(self) -> dict[str, Any]:
        """The same event for every endpoint."""
        with self._lock:
            if self._event is None:
                self._event = self._composer.event(self.pull)
            return self._event
