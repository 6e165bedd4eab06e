"""What a disk that is full may lose at once: nothing that anybody is served from.

A fill that finds no room says so (StorageFull). Condemned blobs then go before their grace is
over, damaged ones before anybody has looked at them, and downloads that nobody goes on with
before their day. Blobs in use go by the size limit alone, which the same event wakes.
"""

import sys
import threading

from common import logs
from common.broker import Broker
from common.claims import Claims
from common.digest import Digest
from common.durable import remove_file
from common.filesystem import is_local
from common.fills import Fill
from common.messages import Event, StorageFull
from common.paths import Layout
from janitor import walk
from janitor.periodic import Periodic
from janitor.trash import Trash

_log = logs.get(__name__)

# Seconds until the next look when nobody asks; nothing is done then.
_IDLE = 3600.0


class Room:
    """Makes room in one storage folder when a fill has found none."""

    def __init__(self, layout: Layout, claims: Claims, trash: Trash) -> None:
        """Work on what is handed in."""
        self._layout = layout
        self._claims = claims
        self._trash = trash
        self._is_wanted = threading.Event()

    def attach(self, broker: Broker, stop: threading.Event) -> Periodic:
        """The work to be started; `broker`'s events wake it."""
        making = Periodic("room", self, stop)

        def hear(event: Event) -> None:
            if isinstance(event, StorageFull):
                self._is_wanted.set()
                making.hurry()

        broker.subscribe(hear)
        return making

    def __call__(self) -> float:
        """Make room if it was asked for."""
        if self._is_wanted.is_set():
            self._is_wanted.clear()
            self._make_room()
        return _IDLE

    def _make_room(self) -> None:
        # Elsewhere an open file ends with its removal: readers on other machines have the grace.
        trash = self._trash.make_room(sys.maxsize) if is_local(self._layout.root) else 0
        damaged = sum(remove_file(file.path) for file in walk.entries(self._layout.quarantine))
        downloads = sum(self._abandon(Fill(self._layout, digest)) for digest in self._fills())
        _log.info("room made", trash=trash, damaged=damaged, downloads=downloads)

    def _fills(self) -> list[Digest]:
        return list(walk.digests(self._layout.fills))

    def _abandon(self, fill: Fill) -> bool:
        """Whether nobody was filling, and what was received is gone."""
        claim = self._claims.acquire(fill.folder)
        if claim is None:
            return False
        try:
            fill.clear()
        finally:
            claim.release()
        return True
