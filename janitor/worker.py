"""The janitor: its parts, put together for one storage folder and one broker."""

import threading
from collections.abc import Mapping
from contextlib import suppress

from common.blobstore import FileBlobStore
from common.broker import Broker
from common.claims import Claims
from common.config.maintenance import UploadPurging
from common.links import Links
from common.messages import Queue
from common.paths import Layout
from common.tags import Tags
from janitor.adoption import Adoption
from janitor.alarms import Alarms
from janitor.expiry import Expiries, ExpiryHandler
from janitor.keeper import Keeper
from janitor.leftovers import Leftovers
from janitor.lifetimes import Lifetimes
from janitor.limit import Limits
from janitor.loose import LooseEnds
from janitor.pace import Interrupted, Pace
from janitor.periodic import Periodic
from janitor.room import Room
from janitor.scrub import Scrub
from janitor.sweep import Sweep
from janitor.sweeper import Sweeper
from janitor.trash import Trash
from janitor.uploads import Uploads
from janitor.usage import Usage
from janitor.uses import Uses
from janitor.vacuum import Vacuum

# Each is some file operations: more at once would only stand in the clients' way.
_SLOTS = 2

# The trash is looked into once in its grace, within these bounds (seconds).
_SHORTEST_ROUND = 1.0
_LONGEST_ROUND = 60.0


class Janitor:
    """Everything the janitor does. Times in seconds; `ttls` as Lifetimes takes them."""

    def __init__(
        self,
        root: str,
        broker: Broker,
        *,
        ttls: Mapping[str, float | None],
        grace: float,
        sweep_interval: float,
        lease: float,
        limits: Limits | None = None,
        purging: UploadPurging | None = None,
        scrub_interval: float = 0.0,
        scrub_rate: int = 0,
    ) -> None:
        """Put the parts together; nothing runs before `start`. The broker stays the caller's."""
        layout = Layout(root)
        links, tags, blobs = Links(layout), Tags(layout), FileBlobStore(layout)
        lifetimes, alarms = Lifetimes(ttls), Alarms(broker)
        self._broker = broker
        self._stop = threading.Event()
        self._claims = claims = Claims(layout, lease)
        adoption = Adoption(layout, links, claims.now())
        usage = Usage(layout, claims)
        vacuum = Vacuum(
            layout, links, blobs, claims, usage=usage, grace=grace, is_adopted=adoption.is_complete
        )
        expiries = Expiries(links, tags, vacuum, lifetimes, claims.now)
        self._handler = ExpiryHandler(expiries, alarms)
        self._trash = trash = Trash(blobs, vacuum, claims, usage, grace=grace)
        self._trash_interval = max(_SHORTEST_ROUND, min(grace, _LONGEST_ROUND))
        sweeper = Sweeper(
            layout=layout,
            claims=claims,
            adoption=adoption,
            sweep=Sweep(
                layout=layout,
                tags=tags,
                claims=claims,
                vacuum=vacuum,
                adoption=adoption,
                uses=Uses(links, tags, claims.now),
                expiries=expiries,
                lifetimes=lifetimes,
                alarms=alarms,
                loose=LooseEnds(links, tags, blobs, vacuum, claims, grace=grace),
                grace=grace,
            ),
            leftovers=Leftovers(layout, claims, list_life=lifetimes.longest()),
            interval=sweep_interval,
            stop=self._stop,
        )
        self._rounds = [
            Periodic("sweep", sweeper, self._stop),
            Periodic("trash", self._empty_trash, self._stop),
        ]
        self._rounds.append(Room(layout, claims, self._trash).attach(broker, self._stop))
        if purging is not None and purging.enabled:
            uploads = Uploads(layout, claims, purging, self._stop)
            self._rounds.append(Periodic("uploads", uploads, self._stop))
        if scrub_interval:
            scrub = Scrub(
                layout, blobs, claims, interval=scrub_interval, rate=scrub_rate, stop=self._stop
            )
            self._rounds.append(Periodic("scrub", scrub, self._stop))
        if limits:
            keeper = Keeper(
                limits=limits,
                layout=layout,
                claims=claims,
                links=links,
                tags=tags,
                blobs=blobs,
                adoption=adoption,
                usage=usage,
                vacuum=vacuum,
                trash=trash,
            )
            self._rounds += keeper.attach(broker, self._stop)

    def start(self) -> None:
        """Begin to sweep and to take expiry events."""
        for rounds in self._rounds:
            rounds.start()
        self._broker.consume([Queue.EXPIRY], _SLOTS, self._handler)

    def stop(self, drain: float) -> None:
        """End: no new work, `drain` seconds for what runs; then the broker is closed."""
        self._stop.set()
        self._broker.close(drain)
        for rounds in self._rounds:
            rounds.join(drain)
        self._claims.close()

    def _empty_trash(self) -> float:
        with suppress(Interrupted):
            self._trash.empty(Pace(self._stop, lambda: None, float("inf")))
        return self._trash_interval
