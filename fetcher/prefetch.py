"""Prefetch: what an image's manifest lists, fetched before its client asks for it.

It is the client's time that is saved, so it is done at once or not at all: never while the upstream
is to be spared, never where it would take the room of something else, never a second time. Who asks
for something that was not fetched ahead has it fetched then, as if there had been no prefetch.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from common import logs
from common.digest import Digest
from common.errors import InvalidDigest
from common.filesystem import free
from common.mediatypes import DOCKER_MANIFEST, OCI_MANIFEST, media_type_of, object_in
from common.messages import FetchBlob, Kind, Prefetch
from common.source import Source
from fetcher.announcer import Announcer
from fetcher.manifests import MANIFEST_BYTES
from fetcher.manners import Condition
from fetcher.storage import Storage
from fetcher.unasked import Unasked
from fetcher.upstreams import Upstreams

log = logs.get(__name__)

MOST = 256
"""Blobs of one manifest. An image has 127 layers at most (moby, layer/layer_store.go)."""

# What a client is told to wait that is never told: nobody waits for a prefetch.
_COME_BACK = 5.0

# Of the requests an upstream allows, what is left to those who wait; of the storage limit, what one
# image may take ahead of time.
_ALLOWANCE = 0.25
_OF_LIMIT = 0.1

_IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


@dataclass(frozen=True, slots=True)
class Room:
    """Whether there is room on `root` for what nobody waits for; `maxsize`, `minfree` as janitor's."""

    root: str
    maxsize: int = 0
    minfree: int = 0

    def holds(self, size: int) -> bool:
        """Whether `size` bytes more fit, and push out little that is used."""
        if self.maxsize and size > self.maxsize * _OF_LIMIT:
            return False
        return size <= free(self.root) - self.minfree


class Prefetching:
    """Runs Prefetch jobs, and says whether what they ask for may be fetched yet."""

    def __init__(
        self,
        storage: Storage,
        upstreams: Upstreams,
        announcer: Announcer,
        room: Room,
        *,
        enabled: bool,
    ) -> None:
        """Not `enabled`, no manifest's blobs are fetched ahead."""
        self._storage = storage
        self._upstreams = upstreams
        self._announcer = announcer
        self._room = room
        self._enabled = enabled
        self._lock = threading.Lock()
        # Prefetches under way, by upstream.
        self._running: Counter[str] = Counter()

    def expand(self, job: Prefetch) -> None:
        """Have fetched what the manifest lists and is not here, in its order; or nothing.

        Only of a manifest that the repository has: whatever the queue says. Raises Unasked.
        """
        if not self._enabled:
            return
        self._check(job.source)
        missing = self._missing(job)
        size = sum(blob.size for blob in missing if self._storage.blobs.size(blob.digest) is None)
        if not self._room.holds(size):
            log.info("no room to prefetch", repository=job.source.stored, bytes=size)
            return
        for blob in missing:
            ahead = FetchBlob(source=job.source, digest=blob.digest, request_id=job.request_id)
            self._announcer.fetch_ahead(ahead)

    @contextmanager
    def under_way(self, source: Source) -> Iterator[None]:
        """Fetch something ahead within; raises Unasked when that is not to be now.

        It may have a connection that is free, up to half of them all. It does not wait for one:
        a client that asks for the very same would wait with it.
        """
        most = self._check(source).most_connections // 2
        with self._lock:
            if self._running[source.upstream] >= most:
                raise Unasked("not fetched ahead, as others are", _COME_BACK)
            self._running[source.upstream] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[source.upstream] -= 1

    def _check(self, source: Source) -> Condition:
        condition = self._upstreams.find(source).condition
        if condition.resting or condition.is_open or _is_low(condition):
            raise Unasked("not fetched ahead, to spare it", _COME_BACK)
        if condition.connections >= condition.most_connections:
            raise Unasked("not fetched ahead, as it is busy with what is waited for", _COME_BACK)
        return condition

    def _missing(self, job: Prefetch) -> "list[Listed]":
        storage, repository = self._storage, job.source.stored
        if not storage.has(Kind.MANIFEST, repository, job.digest):
            return []
        body = storage.blobs.read(job.digest, MANIFEST_BYTES)
        return [
            blob
            for blob in listed(body or b"")
            if not storage.has(Kind.LAYER, repository, blob.digest)
        ]


@dataclass(frozen=True, slots=True)
class Listed:
    """A blob that a manifest lists, and how many bytes it is said to have."""

    digest: Digest
    size: int


def listed(manifest: bytes) -> list[Listed]:
    """The configuration and layers of an image, in order, each once; of anything else none.

    Without what is found elsewhere (`urls`) or may not be distributed (image-spec, layer.md,
    "Non-Distributable Layers"), and without what is malformed: that is for clients to complain of.
    """
    image = object_in(manifest)
    if image is None or media_type_of(manifest) not in _IMAGES:
        return []
    found: dict[Digest, Listed] = {}
    for blob in _blobs(image):
        if len(found) == MOST:
            break
        found.setdefault(blob.digest, blob)
    return list(found.values())


def _blobs(image: dict[str, Any]) -> Iterator[Listed]:
    layers = image.get("layers")
    for descriptor in [image.get("config"), *(layers if isinstance(layers, list) else [])]:
        if isinstance(descriptor, dict) and not _is_elsewhere(descriptor):
            size = descriptor.get("size")
            if isinstance(size, int) and not isinstance(size, bool) and size > 0:
                try:
                    yield Listed(Digest(str(descriptor.get("digest"))), size)
                except InvalidDigest:
                    continue


def _is_elsewhere(descriptor: dict[str, Any]) -> bool:
    media_type = str(descriptor.get("mediaType"))
    # Some list data in the descriptor itself; it is fetched by those alone who do not look there.
    return (
        bool(descriptor.get("urls")) or "foreign" in media_type or "nondistributable" in media_type
    )


def _is_low(condition: Condition) -> bool:
    allowance = condition.allowance
    return allowance is not None and allowance.remaining <= allowance.limit * _ALLOWANCE
