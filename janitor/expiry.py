"""What is due, and when to look again at what is not.

An event says only where to look. Whether something is due is decided by its last use, kept in
storage (common.links, common.tags), and by the life configured now.
"""

from collections.abc import Callable

import structlog

from common import logs
from common.broker import Delivery
from common.links import Links
from common.messages import ExpireLink, ExpireTag, Expiry
from common.metrics.catalogue import EXPIRATIONS
from common.tags import Tags
from janitor.alarms import Alarms
from janitor.armed import Armed
from janitor.lifetimes import Lifetimes
from janitor.vacuum import Vacuum

_log = logs.get(__name__)

# Seconds. The clock that delays a message and the storage's clock differ by a little: what comes
# a moment too early must not be sent round as fast as the queue can carry it.
_SHORTEST_DELAY = 1.0
_RETRY = 60.0


class Expiries:
    """Removes what is due from one storage folder; `now` is the storage's clock."""

    def __init__(
        self,
        links: Links,
        tags: Tags,
        vacuum: Vacuum,
        lifetimes: Lifetimes,
        now: Callable[[], float],
    ) -> None:
        """Work on what is handed in."""
        self._links = links
        self._tags = tags
        self._vacuum = vacuum
        self._lifetimes = lifetimes
        self._now = now

    def settle(self, message: Expiry) -> float | None:
        """Remove what `message` names if it is due.

        The seconds after which to look again; None when it is gone or is kept for ever.
        """
        ttl = self._lifetimes.of(message.source.upstream)
        if isinstance(message, ExpireTag):
            return self._settle_tag(message, ttl)
        return self._settle_link(message, ttl)

    def _settle_link(self, message: ExpireLink, ttl: float | None) -> float | None:
        repository = message.source.stored
        last_use = self._links.last_use(message.kind, repository, message.digest)
        if last_use is None:
            # A janitor may have died after removing the link; its message comes back to us.
            self._vacuum.condemn_unreferenced(message.digest)
            return None
        if ttl is None:
            return None
        if (wait := self._wait(last_use, ttl)) is not None:
            return wait
        removed = self._vacuum.remove_link(
            message.kind, repository, message.digest, last_use=last_use
        )
        if removed:
            EXPIRATIONS.of(message.kind.value).add()
        # Not removed: used in this very moment, which begins a new life.
        return None if removed else ttl

    def _settle_tag(self, message: ExpireTag, ttl: float | None) -> float | None:
        repository = message.source.stored
        stored = self._tags.read(repository, message.tag)
        if stored is None or ttl is None:
            return None
        if (wait := self._wait(stored.used, ttl)) is not None:
            return wait
        # The manifest stays for its own life. The reverse, a tag whose manifest is gone, is a
        # miss like any other: so neither needs to look for the other.
        self._tags.remove(repository, message.tag)
        EXPIRATIONS.of("tag").add()
        _log.info("tag vacuumed", repository=repository, tag=message.tag)
        return None

    def _wait(self, last_use: float, ttl: float) -> float | None:
        remaining = last_use + ttl - self._now()
        if remaining <= 0:
            return None
        # A use in the future is a clock that was set back; a life is never longer than its length.
        return min(max(remaining, _SHORTEST_DELAY), ttl)


class ExpiryHandler:
    """Takes expiry events from the queue, one call each."""

    def __init__(self, expiries: Expiries, alarms: Alarms) -> None:
        """Settle by `expiries`, look again by `alarms`."""
        self._expiries = expiries
        self._alarms = alarms
        self._armed = Armed()

    def __call__(self, delivery: Delivery) -> None:
        """Settle the message; acknowledge it once the next look, if any, is queued for sure.

        The next look is a fresh message, not a retry of this one: attempts are limited, the times
        that a life may be renewed are not.
        """
        message = delivery.message
        if not isinstance(message, ExpireLink | ExpireTag):
            delivery.reject("not an expiry")
            return
        with structlog.contextvars.bound_contextvars(**_asked(message)):
            again = self._expiries.settle(message)
            if again is None or self._arm(message, again):
                delivery.ack()
            else:
                delivery.retry(_RETRY)

    def _arm(self, message: Expiry, delay: float) -> bool:
        """Whether an event of this key is on its way for sure."""
        if not self._armed.claim(message.key, delay):
            return True
        is_queued = self._alarms.arm(message, delay)
        if not is_queued:
            self._armed.forget(message.key)
        return is_queued


def _asked(message: Expiry) -> dict[str, str]:
    """The request that brought what expires, where that is known."""
    return {"request_id": message.request_id} if message.request_id else {}
