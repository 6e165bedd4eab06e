"""A slow look at everything: takes in what is new, removes what the events missed.

Messages may be lost with a queue, crashes leave things lying about, other registries write into
the folder. Whatever happens, the next sweep puts it right.
"""

import os
import time
from dataclasses import dataclass

from common import logs
from common.claims import Claims
from common.digest import Digest
from common.messages import ExpireLink, ExpireTag, Expiry, Kind
from common.metrics.catalogue import SWEEP_SECONDS, SWEPT
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.source import Source
from common.tags import Tags
from janitor import walk
from janitor.adoption import Adoption
from janitor.alarms import Alarms
from janitor.expiry import Expiries
from janitor.hollow import EmptyFolders
from janitor.lifetimes import Lifetimes
from janitor.loose import LooseEnds
from janitor.pace import Pace
from janitor.uses import Uses
from janitor.vacuum import Vacuum

_log = logs.get(__name__)


@dataclass(slots=True)
class _Tally:
    """What one sweep did, for the log."""

    links: int = 0
    adopted: int = 0
    orphans: int = 0


class Sweep:
    """Sweeps one storage folder; `grace` in seconds, as the vacuum's."""

    def __init__(
        self,
        *,
        layout: Layout,
        tags: Tags,
        claims: Claims,
        vacuum: Vacuum,
        adoption: Adoption,
        uses: Uses,
        expiries: Expiries,
        lifetimes: Lifetimes,
        alarms: Alarms,
        loose: LooseEnds,
        grace: float,
    ) -> None:
        """Work on what is handed in."""
        self._layout = layout
        self._tags = tags
        self._claims = claims
        self._vacuum = vacuum
        self._adoption = adoption
        self._uses = uses
        self._empty = EmptyFolders(claims.now)
        self._expiries = expiries
        self._lifetimes = lifetimes
        self._alarms = alarms
        self._loose = loose
        self._grace = grace

    def run(self, pace: Pace) -> None:
        """Look at everything once.

        All links before the first blob: only the record of a complete walk allows to condemn.
        """
        tally = _Tally()
        begun, started = self._claims.now(), time.monotonic()
        self._walk_repositories(pace, tally)
        self._adoption.record(begun, self._lifetimes.configured)
        self._walk_blobs(pace, tally)
        self._walk_references(pace)
        SWEPT.of().set(round(time.time(), 1))
        SWEEP_SECONDS.of().set(round(time.monotonic() - started, 3))
        _log.info("sweep finished", links=tally.links, adopted=tally.adopted, orphans=tally.orphans)

    def _walk_repositories(self, pace: Pace, tally: _Tally) -> None:
        is_first = self._adoption.last_walk() is None
        before = self._adoption.last_lives()
        on_empty = self._empty.below(self._layout.repositories)
        for repository in walk.repositories(self._layout, on_empty):
            source = self._lifetimes.source(repository)
            is_shorter = self._lifetimes.is_shorter(source.upstream, before)
            for kind, digest in walk.links(self._layout, repository, on_empty=on_empty):
                pace.step()
                tally.links += 1
                tally.adopted += self._visit_link(source, kind, digest, is_shorter=is_shorter)
            for tag in self._tags.names(repository):
                pace.step()
                self._visit_tag(source, tag, is_first=is_first, is_shorter=is_shorter)
            self._remove_empty(repository, pace)

    def _remove_empty(self, repository: RepositoryName, pace: Pace) -> None:
        """What is empty where no link is looked for; in `tags` there are few."""
        layout, top = self._layout, self._layout.repositories
        self._empty.remove_any(layout.tags(repository), pace, up_to=top)
        for folder in (layout.manifests(repository), layout.uploads(repository)):
            next(walk.entries(folder, self._empty.below(top)), None)

    def _visit_link(self, source: Source, kind: Kind, digest: Digest, *, is_shorter: bool) -> bool:
        if self._uses.of_link(kind, source.stored, digest) is None:
            folder = os.path.dirname(self._layout.link(kind, source.stored, digest))
            self._empty.remove(folder, up_to=self._layout.repositories)
        message = ExpireLink(source=source, digest=digest, kind=kind)
        if self._adoption.take_in(kind, source.stored, digest):
            self._arm_new(message)
            return True
        if not self._loose.drop_link(kind, source.stored, digest):
            self._settle(message, is_shorter=is_shorter)
        return False

    def _visit_tag(self, source: Source, tag: Tag, *, is_first: bool, is_shorter: bool) -> None:
        self._uses.of_tag(source.stored, tag)
        message = ExpireTag(source=source, tag=tag)
        if self._loose.drop_tag(source.stored, tag):
            return
        if is_first:  # as with links, its last use is not known
            self._tags.mark(source.stored, tag)
            self._arm_new(message)
        else:
            self._settle(message, is_shorter=is_shorter)

    def _settle(self, message: Expiry, *, is_shorter: bool) -> None:
        """Remove what is due.

        What is not is left alone: its event is on its way, and a second one would be put off
        beside the first for as long as the content is used. But when lives have become shorter
        since the last walk, or have an end at all now, that event comes late or not at all.
        """
        again = self._expiries.settle(message)
        if is_shorter and again is not None:
            self._alarms.arm(message, again)

    def _arm_new(self, message: Expiry) -> None:
        ttl = self._lifetimes.of(message.source.upstream)
        if ttl is not None:
            self._alarms.arm(message, ttl)

    def _walk_blobs(self, pace: Pace, tally: _Tally) -> None:
        top = self._layout.registry
        for digest in walk.digests(self._layout.blobs, self._empty.below(top)):
            pace.step()
            age = self._age(digest)
            if age is None:
                self._empty.remove(self._layout.blob_folder(digest), up_to=top)
            # Old enough to have got its link, if it was to get one.
            elif age >= self._grace:
                tally.orphans += self._vacuum.condemn_unreferenced(digest)

    def _age(self, digest: Digest) -> float | None:
        """Seconds since the blob's rename into place, by ctime, however long it took to arrive.

        None: there is none. Sealed since then, it is younger, which only puts it off.
        """
        try:
            arrived = os.stat(self._layout.blob(digest)).st_ctime
        except FileNotFoundError:
            return None
        return self._claims.now() - arrived

    def _walk_references(self, pace: Pace) -> None:
        top = self._layout.reference_index
        for digest in walk.digests(top, self._empty.below(top)):
            pace.step()
            if not self._vacuum.forget_stale_references(digest):
                self._empty.remove(self._layout.references(digest), up_to=top)
