"""A storage folder with a janitor's parts around it, and what tests do to it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from common.blobstore import FileBlobStore
from common.claims import Claims
from common.digest import Digest
from common.links import Links
from common.messages import ExpireLink, ExpireTag, Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.source import Source
from common.tags import Tags
from janitor.adoption import Adoption
from janitor.alarms import Alarms
from janitor.candidates import Candidates
from janitor.eviction import Eviction
from janitor.expiry import Expiries
from janitor.leftovers import Leftovers
from janitor.lifetimes import Lifetimes
from janitor.loose import LooseEnds
from janitor.pace import Pace
from janitor.ranking import Ranking
from janitor.sweep import Sweep
from janitor.trash import Trash
from janitor.usage import Usage
from janitor.uses import Uses
from janitor.vacuum import Vacuum
from tests.janitor.queue import RecordingBroker

TTL = 1000.0
GRACE = 100.0
JUST_USED = 10.0
DAY = 24 * 3600.0


def content_of(digest_seed: str) -> bytes:
    """Content told apart by its name."""
    return f"content of {digest_seed}".encode()


class House:
    """The parts, with lives of `TTL` and a grace of `GRACE` seconds unless told otherwise."""

    def __init__(
        self,
        root: Path,
        *,
        links: Links | None = None,
        blobs: FileBlobStore | None = None,
        ttls: dict[str, float | None] | None = None,
        grace: float = GRACE,
        is_adopted: bool = True,
    ) -> None:
        """Put them together; `links` and `blobs` may be the test's own."""
        self.root = root
        self.layout = Layout(str(root))
        self.links = links or Links(self.layout)
        self.blobs = blobs or FileBlobStore(self.layout)
        self.tags = Tags(self.layout)
        self.claims = Claims(self.layout, 60.0)
        self.adoption = Adoption(self.layout, self.links, self.claims.now())
        self.broker = RecordingBroker()
        self.lifetimes = Lifetimes({"": TTL} if ttls is None else ttls)
        self.grace = grace
        if is_adopted:
            self.adoption.record(self.claims.now() + 1, self.lifetimes.configured)
        self.usage = Usage(self.layout, self.claims)
        self.vacuum = Vacuum(
            self.layout,
            self.links,
            self.blobs,
            self.claims,
            usage=self.usage,
            grace=grace,
            is_adopted=self.adoption.is_complete,
        )
        self.trash = Trash(self.blobs, self.vacuum, self.claims, self.usage, grace=grace)
        self.uses = Uses(self.links, self.tags, self.claims.now)
        self.candidates = Candidates(self.layout, self.uses, self.tags, self.blobs)
        self.ranking = Ranking()
        self.eviction = Eviction(
            self.layout,
            self.links,
            self.tags,
            self.blobs,
            self.claims,
            self.vacuum,
            self.ranking,
            just_used=JUST_USED,
        )
        self.expiries = Expiries(
            self.links, self.tags, self.vacuum, self.lifetimes, self.claims.now
        )
        self.leftovers = Leftovers(self.layout, self.claims, list_life=TTL)

    def sweep(self) -> Sweep:
        """A sweep of this folder."""
        return Sweep(
            layout=self.layout,
            tags=self.tags,
            claims=self.claims,
            vacuum=self.vacuum,
            adoption=self.adoption,
            uses=self.uses,
            expiries=self.expiries,
            lifetimes=self.lifetimes,
            alarms=Alarms(self.broker),
            loose=LooseEnds(
                self.links, self.tags, self.blobs, self.vacuum, self.claims, grace=self.grace
            ),
            grace=self.grace,
        )

    def pace(self, beat: Callable[[], None] = lambda: None) -> Pace:
        """A pace nobody interrupts."""
        return Pace(threading.Event(), beat, 60.0)

    def fill(self, repository: str, content: bytes, kind: Kind = Kind.LAYER) -> Digest:
        """What a fetcher does with new content: reference, blob, link."""
        name, digest = RepositoryName(repository), Digest.of(content)
        self.links.refer(kind, name, digest)
        self.blobs.put(digest, content)
        self.links.add(kind, name, digest)
        return digest

    def has(self, repository: str, digest: Digest, kind: Kind = Kind.LAYER) -> bool:
        """Whether the repository has the blob."""
        return self.links.has(kind, RepositoryName(repository), digest)

    def settle(self, repository: str, digest: Digest, kind: Kind = Kind.LAYER) -> float | None:
        """What an expiry event for the link does."""
        return self.expiries.settle(expire_link(repository, digest, kind))

    def age(self, seconds: float) -> None:
        """Have so many seconds pass for all that is in the folder, its record of walks excepted."""
        for condemned in list(self.blobs.condemned()):
            name = f"{condemned.since - seconds:.3f}.{condemned.digest.replace(':', '.')}"
            os.rename(condemned.path, f"{self.layout.trash}/{name}")
        for parent, _folders, files in os.walk(self.root):
            for path in [f"{parent}/{name}" for name in files] + [parent]:
                if path != self.layout.adopted:
                    stamp = os.stat(path).st_mtime - seconds
                    os.utime(path, (stamp, stamp))

    def files(self) -> set[str]:
        """All files, but those that a living janitor has."""
        found = {
            os.path.relpath(f"{parent}/{name}", self.root)
            for parent, _folders, files in os.walk(self.root)
            for name in files
        }
        own = {"entrepot/adopted"}
        return {path for path in found - own if not path.startswith("entrepot/tmp/clock.")}


def expire_link(repository: str, digest: Digest, kind: Kind = Kind.LAYER) -> ExpireLink:
    """The expiry event of a link in a repository of the default upstream."""
    return ExpireLink(source=Source("", RepositoryName(repository)), digest=digest, kind=kind)


def expire_tag(repository: str, tag: str) -> ExpireTag:
    """The expiry event of a tag in a repository of the default upstream."""
    return ExpireTag(source=Source("", RepositoryName(repository)), tag=Tag(tag))
