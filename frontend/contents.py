"""Small content, kept in memory by its digest.

What may be kept for how long has a short answer: for ever, since content under a digest never
changes, and all that is kept here was compared with its digest when it came in. Nothing is decided
by its being here, though. Whether a repository has it is its link's to say, at every request
(common.links); and content whose file is gone, or is not the file it was read from any more, counts
as not here, so that whoever asks finds what there is to find out, and has it fetched anew. That
takes one `stat` for each use, in place of opening, reading and closing the file.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass, field

from common.blobstore import BlobStore, OpenBlob
from common.digest import Digest
from common.mediatypes import media_type_of
from common.paths import Layout
from frontend.reading import is_cached

# Bytes. Nearly all manifests and configs are smaller; to check a digest of so many takes some tens
# of microseconds, once.
LARGEST = 32 * 1024

# Bytes of one process, and how many contents, each of which costs some memory besides its bytes.
_ROOM = 16 * 1024 * 1024
_MOST = 8192

_Stamp = tuple[int, int, int]
"""Inode, size in bytes and mtime in nanoseconds: what tells one file at a path from another."""


@dataclass(slots=True)
class Content:
    """What a digest names. `headers`: what is said of it, by those who serve it."""

    digest: Digest
    body: bytes
    stamp: _Stamp
    path: str
    media_type: str
    headers: dict[object, list[tuple[bytes, bytes]]] = field(default_factory=dict)


class Contents:
    """What one process keeps of the contents in `blobs`; the least recently used go first."""

    def __init__(
        self, blobs: BlobStore, layout: Layout, *, room: int = _ROOM, most: int = _MOST
    ) -> None:
        """Keep nothing yet; `room` in bytes, `most` in contents."""
        self._blobs = blobs
        self._layout = layout
        self._room = room
        self._most = most
        self._held = 0
        self._kept: OrderedDict[Digest, Content] = OrderedDict()

    def get(self, digest: Digest, *, may_wait: bool = False) -> Content | None:
        """The content; None where it is not here, is large or damaged.

        None, too, where it would have to be waited for, unless the caller `may_wait`. Raises
        OSError where storage does.
        """
        kept = self._kept.get(digest)
        if kept is None:
            return self._load(digest, may_wait=may_wait)
        try:
            found = os.stat(kept.path)
        except OSError:
            self._drop(kept)
            return None
        if kept.stamp != (found.st_ino, found.st_size, found.st_mtime_ns):
            self._drop(kept)
            return self._load(digest, may_wait=may_wait)
        self._kept.move_to_end(digest)
        return kept

    def _load(self, digest: Digest, *, may_wait: bool) -> Content | None:
        blob = self._blobs.open(digest)
        if blob is None:
            return None
        try:
            # The stamp before the bytes: a file that changes meanwhile no longer has it.
            found = os.fstat(blob.fd)
            body = _read(blob, may_wait=may_wait)
        finally:
            blob.close()
        if body is None or not digest.matches(body):
            return None
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        content = Content(digest, body, stamp, self._layout.blob(digest), media_type_of(body))
        self._keep(content)
        return content

    def _keep(self, content: Content) -> None:
        self._kept[content.digest] = content
        self._held += len(content.body)
        while self._held > self._room or len(self._kept) > self._most:
            self._held -= len(self._kept.popitem(last=False)[1].body)

    def _drop(self, content: Content) -> None:
        del self._kept[content.digest]
        self._held -= len(content.body)


def _read(blob: OpenBlob, *, may_wait: bool) -> bytes | None:
    """All of it, if it is small and can be had."""
    if blob.size > LARGEST:
        return None
    if blob.size and not may_wait and not is_cached(blob.fd, blob.size, 0):
        return None
    return os.pread(blob.fd, blob.size + 1, 0)
