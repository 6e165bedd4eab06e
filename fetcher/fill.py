"""FetchBlob: have a blob linked for a repository, by the least that is needed.

Linked and there: done. There, but not linked for this repository: the upstream is asked whether
it has it. Being filled by somebody: likewise, and the holder links it at the commit. Otherwise
we claim the fill and download.
"""

from collections.abc import Callable

from common import logs
from common.durable import syncing_together
from common.errors import LeaseLost, UpstreamError
from common.fills import Fill
from common.messages import FetchBlob, Kind
from fetcher import watching
from fetcher.allotment import Allotment
from fetcher.announcer import Announcer
from fetcher.commit import Commit, dismiss
from fetcher.holder import Holder
from fetcher.leases import Leases
from fetcher.patience import Patience
from fetcher.storage import Storage
from fetcher.upstreams import Upstreams

log = logs.get(__name__)


class Blobs:
    """Runs FetchBlob jobs."""

    def __init__(
        self,
        storage: Storage,
        leases: Leases,
        upstreams: Upstreams,
        announcer: Announcer,
        new_patience: Callable[[], Patience],
        allotment: Allotment,
    ) -> None:
        """`new_patience` is called for every question put to an upstream."""
        self._storage = storage
        self._leases = leases
        self._upstreams = upstreams
        self._announcer = announcer
        self._new_patience = new_patience
        self._commit = Commit(storage, upstreams, announcer)
        self._holder = Holder(upstreams, announcer, self._commit, allotment)

    def fetch(self, job: FetchBlob) -> None:
        """Return when the blob is linked, or when somebody is at work who will link it.

        In both cases it is that one who tells so. Raises UpstreamError, OSError or Stopping.
        """
        fill = Fill(self._storage.layout, job.digest)
        try:
            while not self._advance(job, fill):
                pass
        except UpstreamError:
            self._hand_on(job, fill)
            raise

    def _advance(self, job: FetchBlob, fill: Fill) -> bool:
        """Whether the job is done with; if not, things have changed meanwhile: look anew."""
        repository = job.source.stored
        if self._storage.has(Kind.LAYER, repository, job.digest) or self._link(job, fill):
            self._announcer.committed(repository, job.digest)
            self._tidy_up(job, fill)
            return True
        with self._leases.hold(fill.folder) as lease:
            if lease is None:
                return self._join(job, fill)
            if self._storage.blobs.size(job.digest) is not None:
                return False  # committed between our look and our claim
            try:
                with watching.fill(job.source.upstream):
                    self._holder.fill(fill, lease, job.source, self._new_patience())
            except LeaseLost:
                log.warning("lost the claim of a fill", digest=job.digest)
                return False
        return True

    def _link(self, job: FetchBlob, fill: Fill) -> bool:
        """Whether the blob was there, and is now linked for the job's repository too.

        The order is what makes it safe beside a janitor that vacuums the blob: the reference,
        then the look at the blob, and another look after the link. It condemns, then looks at
        the references: one of the two sees the other.
        """
        repository = job.source.stored
        self._upstreams.find(job.source)
        if self._storage.blobs.size(job.digest) is None:
            return False
        self._storage.links.refer(Kind.LAYER, repository, job.digest)
        try:
            self._ask_membership(job, fill)
        except BaseException:
            self._storage.withdraw(Kind.LAYER, repository, job.digest)
            raise
        with syncing_together():
            self._storage.link(Kind.LAYER, repository, job.digest)
        if self._storage.blobs.size(job.digest) is None:
            return False
        log.info("linked a blob already here", digest=job.digest, repository=repository)
        self._announcer.link_expires(job.source, job.digest, Kind.LAYER)
        return True

    def _join(self, job: FetchBlob, fill: Fill) -> bool:
        """Become a member of somebody's fill; whether that one will link us.

        The member file first, then the looks. A holder lists its members after the commit: if it
        does not see us, we see the blob. One that fails gives up its claim before it looks for
        members to hand on: if it does not see us, we see that nobody holds the fill.
        """
        repository = job.source.stored
        self._ask_membership(job, fill)
        if not fill.admits(repository):
            fill.admit(repository)
        self._announcer.started(repository, job.digest)
        if self._storage.blobs.size(job.digest) is not None:
            return False
        return self._leases.is_held(fill.folder)

    def _ask_membership(self, job: FetchBlob, fill: Fill) -> None:
        """Return if the upstream says that the repository has the blob; UpstreamError if not."""
        if not fill.admits(job.source.stored):
            upstream = self._upstreams.find(job.source)
            self._new_patience().ask(lambda: upstream.head_blob(job.source.repository, job.digest))

    def _tidy_up(self, job: FetchBlob, fill: Fill) -> None:
        """Finish what is left of a fill whose holder died, or was slower, after the commit."""
        dismiss(fill, job.source.stored)
        if not fill.exists():
            return
        try:
            with self._leases.hold(fill.folder) as lease:
                if lease is not None and self._storage.blobs.size(job.digest) is not None:
                    self._commit.finish(fill, lease, {job.source.stored})
        except OSError as error:  # the job itself is done, and told
            log.warning("a fill was not tidied up", digest=job.digest, reason=error.strerror)

    def _hand_on(self, job: FetchBlob, fill: Fill) -> None:
        """The fill failed for this repository: those who joined it get jobs of their own.

        Each repository that fails has ceased to be a member before, so this comes to an end.
        """
        if self._leases.is_held(fill.folder):
            return
        for member in fill.members():
            if member != job.source.stored:
                self._announcer.hand_on(self._upstreams.source(member), job.digest)
