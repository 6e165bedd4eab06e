"""The commit of a fill: verified bytes become a blob, and the repositories that wait get it."""

from contextlib import suppress

from common import logs
from common.durable import syncing_together
from common.errors import LeaseLost
from common.fills import Fill
from common.messages import Kind
from common.reference import RepositoryName
from fetcher.announcer import Announcer
from fetcher.leases import Lease
from fetcher.spool import Spool
from fetcher.storage import Storage
from fetcher.upstreams import Upstreams

log = logs.get(__name__)


class Commit:
    """Commits fills; what goes wrong after the blob is public is told and mended, never undone."""

    def __init__(self, storage: Storage, upstreams: Upstreams, announcer: Announcer) -> None:
        self._storage = storage
        self._upstreams = upstreams
        self._announcer = announcer

    def commit(self, fill: Fill, spool: Spool, lease: Lease, repository: RepositoryName) -> None:
        """Make the spool, whose bytes are right, the blob, and link it for all who wait.

        Raises LeaseLost when somebody else fills it now: the spool is then theirs to remove.

        Each line may be the last before a crash:

        - before the rename there is no blob: the successor inherits the spool, bytes complete;
        - references come first, so that a janitor that meets the new blob knows whose it will be;
        - a power cut before the syncs at the end may lose any of what was renamed, never the bytes
          of what it leaves: what is missing then is fetched, or asked for, again;
        - after the rename, whoever gets the redelivered job finds the blob and the fill's folder,
          with its members, and finishes both (`finish`).
        """
        spool.sync()
        # Frozen right after this line, and taken for dead, we would still rename a verified spool
        # of our own (no other ever has its name), or find it removed.
        lease.confirm()
        with syncing_together():
            for member in {repository, *fill.members()}:
                self._storage.links.refer(Kind.LAYER, member, fill.digest)
            try:
                self._storage.blobs.commit(spool.path, fill.digest)
            except FileNotFoundError as error:
                raise LeaseLost(f"{fill.digest}: the spool is gone") from error
            self._storage.link(Kind.LAYER, repository, fill.digest)
            # Before the syncs: who waits has the right bytes, whatever happens to ours.
            self._announcer.committed(repository, fill.digest)
        self.finish(fill, lease, {repository})

    def finish(self, fill: Fill, lease: Lease, linked: set[RepositoryName]) -> None:
        """Link the other members of a committed fill, and leave nothing of it but the claim.

        Those in `linked` are linked already; the janitor is told of them all. Members are listed
        until there are no new ones; one that comes later still sees the blob and links itself.
        Once the lease is lost what lies there is a successor's.
        """
        try:
            while late := set(fill.members()) - linked:
                with syncing_together():
                    for member in late:
                        self._storage.link(Kind.LAYER, member, fill.digest)
                        self._announcer.committed(member, fill.digest)
                linked = linked | late
            lease.confirm()
            fill.clear()
        except LeaseLost:
            log.info("what is left of a fill is another's", digest=fill.digest)
        except OSError as error:
            log.warning("a fill was not tidied up", digest=fill.digest, reason=error.strerror)
        for member in linked:
            source = self._upstreams.source(member)
            self._announcer.link_expires(source, fill.digest, Kind.LAYER)


def dismiss(fill: Fill, repository: RepositoryName) -> None:
    """Take back a membership where that is possible; a sweep finds it where not."""
    with suppress(OSError):
        fill.dismiss(repository)
