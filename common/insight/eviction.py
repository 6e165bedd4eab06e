"""Evicting: a repository, an image or a blob is taken out of the cache because somebody says so.

What is removed here is links and tags, by whoever was asked: a command, the console. That
is at once and everywhere what decides what is served, and needs neither queue nor janitor. The
blobs are left to the janitor, which alone may condemn them: for each link an expiry message is
published, and an expiry whose link is gone is one that the janitor knows, from a predecessor that
died in between. So there is no message of a new kind, no second way to remove a blob, and nothing
to go wrong with a queue that is away: then the next sweep finds the blobs that nobody links.

The order is the janitor's own: tags, then manifests, then layers, so that nothing is promised that
is gone already. A crash leaves an image that the next pull repairs. A pull of the same image
beside it may bring links back; it has asked the upstream then, and is right.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from itertools import islice

from common import logs, walk
from common.broker import Broker
from common.digest import Digest
from common.errors import BrokerUnavailable
from common.insight.catalog import Catalog
from common.links import Links
from common.messages import ExpireLink, Kind, Queue
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.source import source_of
from common.tags import Tags

_log = logs.get(__name__)

_CONFIRMATION_SECONDS = 15.0
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go from a repository, in this order.

    Blobs that other repositories link stay in storage, for those.
    """

    repository: RepositoryName
    tags: tuple[Tag, ...] = ()
    manifests: tuple[Digest, ...] = ()
    layers: tuple[Digest, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self.tags or self.manifests or self.layers)

    @property
    def links(self) -> Iterator[tuple[Kind, Digest]]:
        """The links to remove, manifests first."""
        yield from ((Kind.MANIFEST, digest) for digest in self.manifests)
        yield from ((Kind.LAYER, digest) for digest in self.layers)


class Eviction:
    """Plans and carries out, in one storage folder; `upstreams` are the configured names."""

    def __init__(self, layout: Layout, upstreams: Iterable[str]) -> None:
        """Nothing is removed before `carry_out`."""
        self._layout = layout
        self._upstreams = tuple(upstreams)
        self._links = Links(layout)
        self._tags = Tags(layout)
        self._catalog = Catalog(layout)

    def plan(self, repository: RepositoryName, reference: Tag | Digest | None = None) -> Plan:
        """What goes with the repository, with a tag or a manifest of it, or with one layer.

        With an image goes what no other image of the repository needs; a tag whose image has
        another tag goes alone.
        """
        if reference is None:
            return Plan(
                repository,
                tuple(self._tags.names(repository)),
                tuple(self._linked(repository, Kind.MANIFEST)),
                tuple(self._linked(repository, Kind.LAYER)),
            )
        if isinstance(reference, Tag):
            return self._plan_tag(repository, reference)
        if self._links.has(Kind.MANIFEST, repository, reference):
            return self._plan_image(repository, reference, self._tagged(repository))
        is_layer = self._links.has(Kind.LAYER, repository, reference)
        return Plan(repository, layers=(reference,) if is_layer else ())

    def _plan_tag(self, repository: RepositoryName, tag: Tag) -> Plan:
        if tag not in self._tags.names(repository):
            return Plan(repository)
        tagged = self._tagged(repository)
        digest = tagged.pop(tag, None)
        if digest is None or digest in tagged.values():
            return Plan(repository, tags=(tag,))
        return self._plan_image(repository, digest, {**tagged, tag: digest})

    def _plan_image(
        self, repository: RepositoryName, digest: Digest, tagged: dict[Tag, Digest]
    ) -> Plan:
        tags = tuple(sorted(tag for tag, target in tagged.items() if target == digest))
        kept = {tag: target for tag, target in tagged.items() if target != digest}.values()
        staying = set(self._linked(repository, Kind.MANIFEST)) - {digest}
        children = {child.digest for child in self._catalog.described(digest).children}
        # Of an index's images those stay that are tagged, or that another index lists.
        listed = {
            child.digest
            for other in staying - children
            for child in self._catalog.described(other).children
        }
        going = (children & staying) - listed - set(kept)
        staying -= going
        needed = self._parts(staying)
        layers = [part for part in self._parts({digest, *going}) if part not in needed]
        return Plan(
            repository,
            tags,
            (digest, *sorted(going)),
            tuple(sorted(each for each in layers if self._links.has(Kind.LAYER, repository, each))),
        )

    def _parts(self, manifests: Iterable[Digest]) -> set[Digest]:
        return {
            part.digest
            for manifest in manifests
            for part in self._catalog.described(manifest).parts
        }

    def _tagged(self, repository: RepositoryName) -> dict[Tag, Digest]:
        read = ((tag, self._tags.read(repository, tag)) for tag in self._tags.names(repository))
        return {tag: stored.digest for tag, stored in read if stored is not None}

    def _linked(self, repository: RepositoryName, kind: Kind) -> list[Digest]:
        return sorted(digest for _, digest in walk.links(self._layout, repository, (kind,)))

    def carry_out(self, plan: Plan, broker: Broker | None) -> bool:
        """Remove it; whether the janitor has been told for sure, and the blobs go at once.

        Without a queue it is not told, and its next sweep finds what nobody links.
        """
        for tag in plan.tags:
            self._tags.remove(plan.repository, tag)
        links = plan.links
        is_told = broker is not None
        # Told batch by batch: who is interrupted in a large one has told of what was removed.
        while batch := list(islice(links, _BATCH)):
            for kind, digest in batch:
                self._links.remove(kind, plan.repository, digest)
            if broker is not None and is_told:
                is_told = self._tell(plan.repository, batch, broker)
        _log.info(
            "evicted by hand",
            repository=plan.repository,
            tags=len(plan.tags),
            manifests=len(plan.manifests),
            layers=len(plan.layers),
        )
        return is_told

    def _tell(
        self, repository: RepositoryName, batch: list[tuple[Kind, Digest]], broker: Broker
    ) -> bool:
        source = source_of(repository, self._upstreams)
        told = [
            broker.publish(Queue.EXPIRY, ExpireLink(source=source, digest=digest, kind=kind))
            for kind, digest in batch
        ]
        return all(_is_safe(each) for each in told)


def _is_safe(published: Future[None]) -> bool:
    try:
        published.result(_CONFIRMATION_SECONDS)
    except (BrokerUnavailable, FutureTimeoutError):
        return False
    return True
