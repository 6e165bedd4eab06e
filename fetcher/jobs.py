"""Which job is done by what."""

from threading import Event
from typing import TypeAlias

from common.errors import UpstreamError
from common.messages import (
    CheckBlob,
    FetchBlob,
    FetchManifest,
    FillCommitted,
    Job,
    ListReferrers,
    ListTags,
    Prefetch,
    ResolveTag,
)
from fetcher.absences import Absences
from fetcher.allotment import Allotment, unlimited
from fetcher.announcer import Announcer
from fetcher.fill import Blobs
from fetcher.leases import Lease, Leases
from fetcher.lookups import Lookups
from fetcher.patience import Patience
from fetcher.prefetch import Prefetching, Room
from fetcher.resolve import Manifests
from fetcher.storage import Storage
from fetcher.upstreams import Upstreams
from fetcher.urgency import is_urgent

Question: TypeAlias = FetchBlob | CheckBlob | FetchManifest | ResolveTag | ListTags | ListReferrers


class Jobs:
    """Does jobs; thread-safe, and every one may be done twice."""

    def __init__(
        self,
        storage: Storage,
        leases: Leases,
        upstreams: Upstreams,
        announcer: Announcer,
        *,
        attempts: int,
        stopping: Event,
        room: Room | None = None,
        allotment: Allotment | None = None,
        prefetch: bool = True,
    ) -> None:
        """Try `attempts` times; raise Stopping from jobs that run when `stopping` is set.

        `room` and `prefetch` are about what is fetched ahead; without an `allotment` there is no
        limit.
        """

        def patience(tries: int | None = None) -> Patience:
            return Patience(min(tries or attempts, attempts), stopping)

        self._blobs = Blobs(
            storage, leases, upstreams, announcer, patience, allotment or unlimited()
        )
        self._manifests = Manifests(storage, upstreams, announcer, patience)
        self._lookups = Lookups(storage, upstreams, patience)
        self._prefetching = Prefetching(
            storage, upstreams, announcer, room or Room(storage.layout.root), enabled=prefetch
        )
        self._upstreams = upstreams
        self._absences = Absences()

    def do(self, job: Job, lease: Lease) -> FillCommitted | None:
        """The outcome to tell, None when whoever commits tells it.

        `lease` is the one on the job: what would replace a successor's answer is not written once
        it is lost. Raises UpstreamError, OSError, LeaseLost or Stopping.
        """
        # Before anything is looked at: what the configuration does not allow is not done here
        # either, whoever put the job into the queue.
        self._upstreams.find(job.source)
        self._absences.raise_for(job.key)
        if isinstance(job, Prefetch):
            self._prefetching.expand(job)
            return None
        if not is_urgent():
            # What comes of it is not remembered either: nobody has asked yet.
            with self._prefetching.under_way(job.source):
                return self._do(job, lease)
        try:
            return self._do(job, lease)
        except UpstreamError as error:
            self._absences.note(job.key, error)
            raise

    def _do(self, job: Question, lease: Lease) -> FillCommitted | None:
        match job:
            case FetchBlob():
                self._blobs.fetch(job)
                return None
            case FetchManifest():
                return self._manifests.fetch(job)
            case ResolveTag():
                return self._manifests.resolve(job, lease)
            case CheckBlob():
                return self._lookups.check(job)
            case ListTags():
                return self._lookups.list_tags(job, lease)
            case ListReferrers():
                return self._lookups.list_referrers(job, lease)
