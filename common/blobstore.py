"""Blobs by digest: what is committed, whole and verified.

Visibility: a blob is there from the moment `commit` or `put` has renamed it into place; nobody
ever sees part of one under its digest. Whether a *client* may have it is not decided here but by
the repository's link (common.links).

A blob whose length is not the one it was sealed with (common.seals) is not there: whoever asks
for it has it fetched anew, over the damaged one.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from common import logs
from common.digest import Digest
from common.durable import make_folder, move_into_place, remove_empty_folders, write_file
from common.errors import ContentMismatch, InvalidDigest
from common.metrics.catalogue import DAMAGED
from common.paths import Layout
from common.seals import Seal, Sizes, write_seal

log = logs.get(__name__)

# What a file system says of bytes it has lost; anything else may pass by itself.
_LOST = {errno.EIO, errno.EUCLEAN, errno.EBADMSG}

# Blobs read whole (manifests) that are known to be right, by digest.
_MOST_VERIFIED = 16384

# Blobs without their length that have been told of.
_MOST_TOLD = 1000

_EMPTY = {Digest.of(b""), Digest.of(b"", "sha512")}


@dataclass(slots=True)
class OpenBlob:
    """A blob open for reading; whoever opened it closes it. `size` in bytes."""

    fd: int
    size: int

    def close(self) -> None:
        """Give the file back. Idempotent."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        """Close what was dropped before anyone could: a response cancelled before its first byte."""
        self.close()


class BlobStore(Protocol):
    """Where committed blobs are."""

    def open(self, digest: Digest) -> OpenBlob | None:
        """The blob, or None. An open blob stays readable to its end, whatever is vacuumed."""

    def size(self, digest: Digest) -> int | None:
        """The blob's size in bytes, or None when it is not there."""

    def read(self, digest: Digest, limit: int) -> bytes | None:
        """The whole of a blob of at most `limit` bytes; None when absent or damaged, which is then
        put aside; ContentMismatch if larger.
        """

    def commit(self, spool: str, digest: Digest) -> None:
        """Make the spool file `spool`, already verified and synced, the blob; the spool is gone then."""

    def put(self, digest: Digest, content: bytes) -> None:
        """Store `content`; raises ContentMismatch when it is not what `digest` names."""

    def quarantine(self, digest: Digest, damaged: OpenBlob) -> bool:
        """Take a damaged blob out of everybody's way, so that the next who asks has it fetched.

        Whether that very file was there and is gone; if storage does not let us, it stays.
        """


@dataclass(frozen=True, slots=True)
class Condemned:
    """A blob in the trash, since when (unix seconds of the storage's clock)."""

    path: str
    digest: Digest
    since: float


class FileBlobStore:
    """Blobs in distribution's filesystem layout."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout
        self._sizes = Sizes()
        self._verified: set[Digest] = set()
        self._told: set[Digest] = set()

    def open(self, digest: Digest) -> OpenBlob | None:
        """See BlobStore."""
        try:
            fd = os.open(self._layout.blob(digest), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        size = os.fstat(fd).st_size
        if not self._is_whole(digest, size, fd):
            os.close(fd)
            return None
        return OpenBlob(fd, size)

    def _is_whole(self, digest: Digest, size: int, file: int | str) -> bool:
        # Empty: a power cut under a registry that does not sync.
        if (size == 0 and digest not in _EMPTY) or not self._sizes.fits(digest, size, file):
            self._tell(digest, size)
            return False
        return True

    def _tell(self, digest: Digest, size: int) -> None:
        """Once: every request for it looks again, until it is fetched."""
        if digest in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(digest)
        log.warning("a blob has lost its length, it counts as missing", digest=digest, size=size)

    def size(self, digest: Digest) -> int | None:
        """See BlobStore."""
        path = self._layout.blob(digest)
        try:
            size = os.stat(path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        return size if self._is_whole(digest, size, path) else None

    def read(self, digest: Digest, limit: int) -> bytes | None:
        """See BlobStore."""
        blob = self.open(digest)
        if blob is None:
            return None
        try:
            if blob.size > limit:
                msg = f"{digest} has {blob.size} bytes, more than {limit}"
                raise ContentMismatch(msg)
            return self._read(digest, blob)
        finally:
            blob.close()

    def _read(self, digest: Digest, blob: OpenBlob) -> bytes | None:
        """The content of `blob`; compared with the digest when this process first meets it."""
        try:
            content = _read_whole(blob)
        except OSError as error:
            if not says_damaged(error):
                raise
            log.error("a blob cannot be read", digest=digest, reason=error.strerror)  # noqa: TRY400
        else:
            if digest in self._verified and len(content) == blob.size:
                return content
            if digest.matches(content):
                if len(self._verified) >= _MOST_VERIFIED:
                    self._verified.clear()
                self._verified.add(digest)
                return content
            log.error("a blob is damaged", digest=digest)
        self.quarantine(digest, blob)
        return None

    def commit(self, spool: str, digest: Digest) -> None:
        """See BlobStore. Renames over what may be there: the same bytes, or a damaged blob."""
        write_seal(spool, Seal(os.stat(spool).st_size, time.time()))
        move_into_place(spool, self._layout.blob(digest))

    def put(self, digest: Digest, content: bytes) -> None:
        """See BlobStore."""
        if not digest.matches(content):
            msg = f"{len(content)} bytes are not {digest}"
            raise ContentMismatch(msg)
        if self.size(digest) != len(content):
            write_file(
                self._layout.blob(digest),
                content,
                temporary=self._layout.temporary,
                prepare=lambda fd: write_seal(fd, Seal(len(content), time.time())),
            )

    def quarantine(self, digest: Digest, damaged: OpenBlob) -> bool:
        """See BlobStore. What was put aside is kept for people to look at (janitor.scrub)."""
        path = self._layout.blob(digest)
        aside = f"{self._layout.quarantine}/{digest.algorithm}.{digest.hex}"
        file = os.fstat(damaged.fd)
        try:
            if not os.path.samestat(os.stat(path), file):
                return False
            move_into_place(path, aside)
            remove_empty_folders(self._layout.blob_folder(digest), up_to=self._layout.registry)
            if not os.path.samestat(os.stat(aside), file):
                # A fill was committed between the look and the rename, and what it left is right.
                self.reprieve(aside, digest)
                return False
        except FileNotFoundError:  # removed, or put aside by somebody else
            return False
        except OSError as error:
            log.error("a damaged blob stays", digest=digest, reason=error.strerror)  # noqa: TRY400
            return False
        DAMAGED.of().add()
        log.warning("damaged blob put aside", digest=digest)
        return True

    def condemn(self, digest: Digest, now: float) -> str | None:
        """Move the blob to the trash, stamped `now` (unix seconds); where to, None if not there.

        Streams that have it open go on; nobody else finds it. Not synced: a power cut may bring it
        back, unreferenced, for the next sweep to find.
        """
        target = f"{self._layout.trash}/{now:.3f}.{digest.algorithm}.{digest.hex}"
        make_folder(self._layout.trash)
        try:
            os.rename(self._layout.blob(digest), target)
        except FileNotFoundError:
            return None
        remove_empty_folders(self._layout.blob_folder(digest), up_to=self._layout.registry)
        return target

    def reprieve(self, condemned: str, digest: Digest) -> None:
        """Put a condemned blob back, unless a fill, or another janitor, has done so meanwhile."""
        if self.size(digest) is None:
            with suppress(FileNotFoundError):
                move_into_place(condemned, self._layout.blob(digest))

    def condemned(self) -> Iterator[Condemned]:
        """What lies in the trash, in no order."""
        with suppress(FileNotFoundError), os.scandir(self._layout.trash) as entries:
            for entry in entries:
                with suppress(ValueError, InvalidDigest):  # not of our making
                    since, algorithm, hexadecimal = entry.name.rsplit(".", 2)
                    digest = Digest(f"{algorithm}:{hexadecimal}")
                    yield Condemned(entry.path, digest, float(since))


def says_damaged(error: OSError) -> bool:
    """Whether a failed read means that the bytes are lost."""
    return error.errno in _LOST


def _read_whole(blob: OpenBlob) -> bytes:
    parts: list[bytes] = []
    offset = 0
    while part := os.pread(blob.fd, blob.size - offset, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)
