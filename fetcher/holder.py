"""What the holder of a fill's claim does: go on where others stopped, download, commit."""

from contextlib import suppress

from common import logs
from common.errors import LeaseLost
from common.fills import Fill
from common.source import Source
from fetcher.allotment import Allotment
from fetcher.announcer import Announcer
from fetcher.commit import Commit, dismiss
from fetcher.demand import Demand
from fetcher.download import Download
from fetcher.leases import Lease
from fetcher.patience import Patience, Stopping
from fetcher.spool import Spools
from fetcher.upstreams import Upstreams

log = logs.get(__name__)


class Holder:
    """Fills blobs it holds the claim of."""

    def __init__(
        self, upstreams: Upstreams, announcer: Announcer, commit: Commit, allotment: Allotment
    ) -> None:
        self._upstreams = upstreams
        self._announcer = announcer
        self._commit = commit
        self._allotment = allotment

    def fill(self, fill: Fill, lease: Lease, source: Source, patience: Patience) -> None:
        """Have the blob committed and linked for the repository of `source`.

        Raises UpstreamError when it is not to be had; then readers are sent to nothing of it any
        more, and what was received is kept for whoever asks next, unless it was found wrong.
        Raises OSError when storage fails; what anybody received is given up then, to make room.
        Raises LeaseLost or Stopping with everything as it is: readers stay, somebody goes on.
        """
        # A name that is not configured fails before anything is created for it.
        self._upstreams.find(source)
        spools = Spools(fill, lease.generation)
        try:
            self._receive(fill, spools, lease, source, patience)
            # Whoever waits has the right bytes from here on, whatever the disk says to a sync.
            fill.prove(spools.epoch)
            self._announcer.started(source.stored, fill.digest)
            self._allotment.wait(fill, spools.current.size, lambda: _go_on(lease, patience))
            self._commit.commit(fill, spools.current, lease, source.stored)
        except (LeaseLost, Stopping):
            raise
        except OSError:
            with suppress(OSError, LeaseLost):
                spools.discard()
                lease.confirm()
                spools.discard_others()
                _end(fill)
            dismiss(fill, source.stored)
            raise
        except BaseException:
            with suppress(OSError):
                spools.leave()
                _end(fill)
            dismiss(fill, source.stored)
            raise
        finally:
            spools.current.close()

    def _receive(
        self, fill: Fill, spools: Spools, lease: Lease, source: Source, patience: Patience
    ) -> None:
        demand = Demand(fill)

        def go_on() -> None:
            _go_on(lease, patience)
            demand.look()

        def on_answer() -> None:
            log.info("blob is arriving", digest=fill.digest, repository=source.stored)
            self._announcer.started(source.stored, fill.digest)

        spools.inherit(go_on)
        if fill.started() is not None:
            # The readers of whoever filled before us: their spool is gone, this is a better hint
            # than their next poll.
            self._announcer.started(source.stored, fill.digest)
        upstream = self._upstreams.find(source)
        Download(fill, spools, upstream, source, patience).run(on_answer, go_on)


def _go_on(lease: Lease, patience: Patience) -> None:
    lease.check()
    patience.go_on()


def _end(fill: Fill) -> None:
    """Nobody goes on with it before somebody asks anew."""
    fill.end_ahead()
    fill.give_room_back()
