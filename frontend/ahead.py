"""Telling fetchers that an image is being pulled, so that they fetch its layers ahead of the client.

It is told when a client *gets* an image's manifest that was not here: it is about to ask for what
that lists. Not for an index, of which it wants one image, and not for HEAD, with which others look
every few minutes whether a tag has moved and pull nothing. containerd begins every pull with such
a HEAD, too, and finds the manifest here when it gets it; so one that came for a HEAD is remembered,
and told of when a blob is missed that it lists.
"""

import time
from collections import OrderedDict

from common.broker import Broker
from common.digest import Digest
from common.mediatypes import DOCKER_MANIFEST, OCI_MANIFEST
from common.messages import Prefetch, Queue
from common.source import Source
from frontend import headers

# Seconds in which an image is told of once, however many clients pull it.
_ONCE = 60.0
_MOST = 512

# Bytes of a manifest that is remembered; those of images have some thousands.
_LARGEST = 64 * 1024

_IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


class Ahead:
    """One process's; for its loop's thread."""

    def __init__(self, broker: Broker, *, enabled: bool) -> None:
        """Not `enabled`, nothing is told."""
        self._broker = broker
        self._enabled = enabled
        # By stored repository: the manifest that came for a HEAD, and what it says.
        self._looked_at: OrderedDict[str, tuple[Digest, bytes]] = OrderedDict()
        self._told: OrderedDict[str, float] = OrderedDict()

    def came(
        self, source: Source, digest: Digest, media_type: str, body: bytes, *, wanted: bool
    ) -> None:
        """A manifest has come from the upstream, `wanted` by its client or only looked at."""
        if not self._enabled or media_type not in _IMAGES:
            return
        if wanted:
            self._tell(source, digest)
        elif len(body) <= _LARGEST:
            self._looked_at[source.stored] = (digest, body)
            self._looked_at.move_to_end(source.stored)
            if len(self._looked_at) > _MOST:
                self._looked_at.popitem(last=False)

    def missed(self, source: Source, blob: Digest) -> None:
        """A client has asked for a blob that is not here."""
        looked_at = self._looked_at.get(source.stored)
        if looked_at is not None and blob.encode() in looked_at[1]:
            del self._looked_at[source.stored]
            self._tell(source, looked_at[0])

    def _tell(self, source: Source, digest: Digest) -> None:
        job = Prefetch(source=source, digest=digest, request_id=headers.request_id())
        now = time.monotonic()
        if now - self._told.get(job.key, -_ONCE) < _ONCE:
            return
        self._told[job.key] = now
        self._told.move_to_end(job.key)
        if len(self._told) > _MOST:
            self._told.popitem(last=False)
        # Nobody waits for it, and nothing is amiss when the queue does not take it.
        self._broker.publish(Queue.PREFETCH, job)
