"""Removing a link, and the blob's data when it was the last one.

Those who link a blob (fetchers) and those who vacuum it (janitors) never wait for each other.
Instead each first writes what the other looks at, and then looks at what the other writes:

    fetcher   writes the reference   looks for the blob     links     looks for the blob again
    janitor   condemns the blob      looks at references    puts the blob back if there are any

Whatever the order in which these happen, at least one of the two notices the other: had the
janitor seen no reference, it was written after the blob had been taken away, and so the fetcher,
which looks after writing, finds the blob missing and fetches it. That is Dekker's argument. A
fill is a fetcher that writes its references, then the blob, then its links, and claims the
digest meanwhile; the same holds for it, only that a blob just committed may vanish for the
moment between the janitor's two steps.

The trash closes what gaps are left: a janitor that dies between the two steps; a repository that
announces a link anew just as its old one is removed, whose reference goes with the old one. In
either case a link may be without data for a while, which is a miss like any other. Condemned data
is kept for the grace, and put back when it turns out to be wanted (janitor.trash).
"""

import threading
from collections.abc import Callable, Iterator

from common import logs
from common.blobstore import Condemned, FileBlobStore
from common.claims import Claims
from common.digest import Digest
from common.links import Links, Reference
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName
from janitor.usage import Usage

_log = logs.get(__name__)


class Vacuum:
    """Removes links and blobs from one storage folder.

    `grace` in seconds: how long a reference without a link counts as about to get one.
    `is_adopted` says whether the references are known to be complete; as long as they are not,
    only links are removed, and their blobs are left for the sweep to find.
    """

    def __init__(
        self,
        layout: Layout,
        links: Links,
        blobs: FileBlobStore,
        claims: Claims,
        *,
        usage: Usage,
        grace: float,
        is_adopted: Callable[[], bool],
    ) -> None:
        """Work on what is handed in; `usage` is told what goes to the trash and comes back."""
        self._layout = layout
        self._links = links
        self._blobs = blobs
        self._claims = claims
        self._usage = usage
        self._grace = grace
        self._is_adopted = is_adopted
        # While one thread drops a reference and looks whether its link has come back, another
        # must not decide from the reference's absence.
        self._lock = threading.RLock()

    def remove_link(
        self, kind: Kind, repository: RepositoryName, digest: Digest, *, last_use: float
    ) -> bool:
        """Whether the link, last used at `last_use` and not since, was removed.

        The link before the data: the other way round a link would promise what is gone.
        """
        with self._lock:
            if not self._links.remove(kind, repository, digest, unused_since=last_use):
                return False
        _log.info("link vacuumed", kind=kind.value, repository=repository, digest=digest)
        self.condemn_unreferenced(digest)
        return True

    def condemn_unreferenced(self, digest: Digest) -> bool:
        """Whether the blob was there, wanted by nobody, and is now in the trash."""
        with self._lock:
            if not self._is_adopted() or self.is_wanted(digest) or self._is_being_filled(digest):
                return False
            condemned = self._blobs.condemn(digest, self._claims.now())
            if condemned is None:
                return False
            self._usage.condemned(digest, condemned)
            if self.is_wanted(digest):  # announced since we looked: see the module's text
                self._reprieve(condemned, digest)
                return False
        _log.info("blob condemned", digest=digest)
        return True

    def put_back(self, condemned: Condemned) -> bool:
        """Whether the blob is missed where it was, and has been put back there.

        A janitor died between condemning it and looking again, or another's look is still to
        come: ours is over, as both hold the lock.
        """
        with self._lock:
            gone = self._blobs.size(condemned.digest) is None
            if not gone or not self.is_wanted(condemned.digest):
                return False
            self._reprieve(condemned.path, condemned.digest)
            return True

    def _reprieve(self, path: str, digest: Digest) -> None:
        self._blobs.reprieve(path, digest)
        self._usage.reprieved(digest, path)

    def is_wanted(self, digest: Digest) -> bool:
        """Whether a repository has a link to the blob or has lately announced one.

        References that are neither, left over from a crash, are dropped in passing.
        """
        with self._lock:
            return any(self._living_references(digest))

    def forget_stale_references(self, digest: Digest) -> bool:
        """Drop every reference left over from a crash, those beside a wanted one too.

        Whether there are others.
        """
        with self._lock:
            return sum(1 for _ in self._living_references(digest)) > 0

    def _living_references(self, digest: Digest) -> Iterator[Reference]:
        now = self._claims.now()
        for reference, announced in self._links.references(digest):
            linked = self._links.has(reference.kind, reference.repository, digest)
            # Announced in the future: the clock was set back.
            if linked or abs(now - announced) < self._grace:
                yield reference
            else:
                self._links.forget(reference.kind, reference.repository, digest)

    def _is_being_filled(self, digest: Digest) -> bool:
        return self._claims.is_held(self._layout.fill(digest))
