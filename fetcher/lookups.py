"""CheckBlob, ListTags and ListReferrers: what the upstream says, without fetching content."""

from collections.abc import Callable

from common.messages import CheckBlob, FillCommitted, Kind, ListReferrers, ListTags
from fetcher.leases import Lease
from fetcher.patience import TRIES_WITH_FALLBACK, Patience
from fetcher.storage import Storage
from fetcher.upstreams import Upstreams


class Lookups:
    """Runs them."""

    def __init__(
        self, storage: Storage, upstreams: Upstreams, new_patience: Callable[[int | None], Patience]
    ) -> None:
        """`new_patience` takes the number of tries, None for as many as are configured."""
        self._storage = storage
        self._upstreams = upstreams
        self._new_patience = new_patience

    def check(self, job: CheckBlob) -> FillCommitted:
        """The blob's size, if the upstream has it for this repository; else UpstreamError."""
        upstream = self._upstreams.find(job.source)
        size = self._new_patience(None).ask(
            lambda: upstream.blob_size(job.source.repository, job.digest)
        )
        return FillCommitted(key=job.key, size=size)

    def list_tags(self, job: ListTags, lease: Lease) -> FillCommitted:
        """Store the upstream's list; UpstreamError when there is none to be had.

        Raises LeaseLost when somebody else asks for it by now, whose list is the newer one.
        """
        upstream = self._upstreams.find(job.source)
        repository, lists = job.source.stored, self._storage.tag_lists
        stored = lists.read(repository, job.after) or self._storage.tags.names(repository)
        patience = self._new_patience(TRIES_WITH_FALLBACK if stored else None)
        found = patience.ask(lambda: upstream.tags(job.source.repository, job.after))
        lease.confirm()
        lists.write(repository, found.tags, after=job.after, whole=found.whole)
        return FillCommitted(key=job.key)

    def list_referrers(self, job: ListReferrers, lease: Lease) -> FillCommitted:
        """Store the upstream's list; raises as `list_tags`.

        An empty one only for a manifest that is stored too: an upstream has an empty list for
        every digest that anybody makes up.
        """
        upstream = self._upstreams.find(job.source)
        repository, lists = job.source.stored, self._storage.referrer_lists
        known = lists.read(repository, job.digest)
        patience = self._new_patience(TRIES_WITH_FALLBACK if known else None)
        descriptors = patience.ask(lambda: upstream.referrers(job.source.repository, job.digest))
        lease.confirm()
        if descriptors or self._storage.has(Kind.MANIFEST, repository, job.digest):
            lists.write(repository, job.digest, descriptors)
        else:
            lists.forget(repository, job.digest)
        return FillCommitted(key=job.key)
