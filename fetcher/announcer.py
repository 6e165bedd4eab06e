"""What jobs tell the others: events for those who wait, expiries for the janitor, follow-up jobs."""

from concurrent.futures import Future
from typing import Protocol

import structlog

from common import logs
from common.digest import Digest
from common.messages import (
    Event,
    ExpireLink,
    ExpireTag,
    Expiry,
    FetchBlob,
    FillCommitted,
    FillStarted,
    Kind,
    Message,
    Queue,
)
from common.reference import RepositoryName, Tag
from common.source import DEFAULT_UPSTREAM, Source
from fetcher.upstreams import Upstreams

log = logs.get(__name__)


class Messenger(Protocol):
    """The part of a broker that jobs use."""

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        """See Broker."""

    def emit(self, event: Event) -> None:
        """See Broker."""


class Announcer:
    """Tells it, and never fails a job over it: what is lost here is found by a poll or a sweep."""

    def __init__(self, messenger: Messenger, upstreams: Upstreams) -> None:
        """Lifetimes are those of `upstreams`."""
        self._messenger = messenger
        self._upstreams = upstreams

    def tell(self, event: Event) -> None:
        """Emit an event."""
        self._messenger.emit(event)

    def started(self, repository: RepositoryName, digest: Digest) -> None:
        """Tell those who wait for the stored repository's blob that bytes are coming."""
        self.tell(FillStarted(key=blob_key(repository, digest), digest=digest))

    def committed(self, repository: RepositoryName, digest: Digest) -> None:
        """Tell those who wait for the stored repository's blob that it is linked."""
        self.tell(FillCommitted(key=blob_key(repository, digest), digest=digest))

    def link_expires(self, source: Source, digest: Digest, kind: Kind) -> None:
        """Have the janitor look at a new link when its life is over."""
        self._expires(
            source, ExpireLink(source=source, digest=digest, kind=kind, request_id=_asked())
        )

    def tag_expires(self, source: Source, tag: Tag) -> None:
        """Have the janitor look at a tag when its life is over."""
        self._expires(source, ExpireTag(source=source, tag=tag, request_id=_asked()))

    def hand_on(self, source: Source, digest: Digest) -> None:
        """Have a blob fetched for a repository that waited for a fill that failed."""
        self._publish(Queue.INTERACTIVE, FetchBlob(source=source, digest=digest), 0.0)

    def fetch_ahead(self, job: FetchBlob) -> None:
        """Have a blob fetched that nobody waits for."""
        self._publish(Queue.PREFETCH, job, 0.0)

    def _expires(self, source: Source, expiry: Expiry) -> None:
        lifetime = self._upstreams.lifetime(source)
        if lifetime is not None:
            self._publish(Queue.EXPIRY, expiry, lifetime)

    def _publish(self, queue: Queue, message: Message, delay: float) -> None:
        def look(confirmed: Future[None]) -> None:
            if confirmed.cancelled() or confirmed.exception() is not None:
                log.warning("a message was not queued", queue=queue.value, about=message.key)

        self._messenger.publish(queue, message, delay=delay).add_done_callback(look)


def _asked() -> str:
    """The request that the running job is done for, so that its name is in the janitor's logs, too."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def blob_key(repository: RepositoryName, digest: Digest) -> str:
    """The key of jobs that fetch a blob for a stored repository, whatever upstream it is of."""
    return FetchBlob(source=Source(DEFAULT_UPSTREAM, repository), digest=digest).key
