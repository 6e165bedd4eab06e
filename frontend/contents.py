"""Small content, kept in memory by its digest.

What may be kept for how long has a short answer: for ever, since content under a digest never
changes, and all that is kept here was compared with its digest when it came in. Nothing is decided
by its being here, though. Whether a repository has it is its link's to say, at every request
(common.links); and content whose file is gone, or is not the file it was read from any more, counts
as not here, so that whoever asks finds what there is to find out, and has it fetched anew. That
takes one `stat` for each use, in place of opening, reading and closing the file.

The event loop waits for no disk: what is large, or not in the page cache, is read on a thread, and
compared with its digest there.
"""

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass, field

from common.blobstore import BlobStore, OpenBlob
from common.digest import Digest
from common.errors import ContentMismatch
from common.mediatypes import media_type_of
from common.paths import Layout
from frontend.reading import is_cached

# Bytes. Nearly all manifests and configs are smaller; to check a digest of so many takes some tens
# of microseconds, once.
LARGEST = 32 * 1024

# Bytes of one process, and how many contents, each of which costs some memory besides its bytes.
_ROOM = 16 * 1024 * 1024
_MOST = 8192

# Of the room that one content may take: what is larger is read whenever it is asked for.
_SHARE = 16

_Stamp = tuple[int, int, int]
"""Inode, size in bytes and mtime in nanoseconds: what tells one file at a path from another."""


@dataclass(slots=True)
class Content:
    """What a digest names. `headers`, `fields`: what is said of it, by those who serve it."""

    digest: Digest
    body: bytes
    stamp: _Stamp
    path: str
    media_type: str
    headers: dict[object, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    fields: dict[object, bytes] = field(default_factory=dict)


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

    def get(self, digest: Digest) -> Content | OpenBlob | None:
        """The content; the open blob where that is large, damaged, or would have to be waited for.

        None where it is not here. Raises OSError where storage does.
        """
        return self.kept(digest) or self._load(digest)

    def kept(self, digest: Digest) -> Content | None:
        """The content, if it is kept here and its file is the one it was read from."""
        kept = self._kept.get(digest)
        if kept is None:
            return None
        try:
            found = os.stat(kept.path)
        except OSError:
            self._drop(kept)
            return None
        if kept.stamp != _stamp(found):
            self._drop(kept)
            return None
        self._kept.move_to_end(digest)
        return kept

    def __contains__(self, digest: Digest) -> bool:
        """Whether it is kept here; not, whether it is still in storage."""
        return digest in self._kept

    async def wait_for(self, digest: Digest, limit: int) -> Content | None:
        """The content where `get` gives the open blob; None if it is larger than `limit` bytes.

        None, too, if it is damaged, which it is put aside for. Raises OSError where storage does.
        """
        content = await asyncio.to_thread(self._read_whole, digest, limit)
        if content is not None and len(content.body) * _SHARE <= self._room:
            self._keep(content)
        return content

    def _load(self, digest: Digest) -> Content | OpenBlob | None:
        blob = self._blobs.open(digest)
        if blob is None or blob.size > LARGEST or not is_cached(blob.fd, blob.size, 0):
            return blob
        # The stamp before the bytes: a file that changes meanwhile no longer has it.
        stamp = _stamp(os.fstat(blob.fd))
        body = os.pread(blob.fd, blob.size + 1, 0)
        if not digest.matches(body):
            return blob
        blob.close()
        content = Content(digest, body, stamp, self._layout.blob(digest), media_type_of(body))
        self._keep(content)
        return content

    def _read_whole(self, digest: Digest, limit: int) -> Content | None:
        """On a thread."""
        path = self._layout.blob(digest)
        try:
            stamp = _stamp(os.stat(path))
            body = self._blobs.read(digest, limit)
        except (FileNotFoundError, ContentMismatch):
            return None
        return None if body is None else Content(digest, body, stamp, path, media_type_of(body))

    def _keep(self, content: Content) -> None:
        before = self._kept.pop(content.digest, None)
        if before is not None:  # two who waited for it at the same time
            self._held -= len(before.body)
        self._kept[content.digest] = content
        self._held += len(content.body)
        while self._held > self._room or len(self._kept) > self._most:
            self._held -= len(self._kept.popitem(last=False)[1].body)

    def _drop(self, content: Content) -> None:
        del self._kept[content.digest]
        self._held -= len(content.body)


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_ino, found.st_size, found.st_mtime_ns
