"""Whether a process should be given work now, as opposed to whether it lives.

A frontend is ready while it can read the storage folder: without the queue it still serves all
that is stored, so a load balancer that took it out would turn a lack of new content into a lack of
all. A fetcher or janitor has nothing to do without the queue, and must be able to write.
"""

from typing import Any, Protocol

from common.health.monitor import Monitor, Watch


class Connected(Protocol):
    """The part of a broker that is asked."""

    @property
    def connected(self) -> bool:
        """See Broker."""


class Readiness:
    """`storage` is the check of the storage folder, looked at every 5 seconds."""

    def __init__(self, storage: Watch, health: Monitor) -> None:
        """Not ready before there is a broker: the process is still starting."""
        self._storage = storage
        self._health = health
        self._broker: Connected | None = None
        self._needs_broker = False
        self._draining = False

    def begin(self, broker: Connected, *, needs_broker: bool) -> None:
        """The process has what it takes to work."""
        self._broker = broker
        self._needs_broker = needs_broker

    def drain(self) -> None:
        """The process ends what it has begun, and wants nothing new."""
        self._draining = True

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether it is ready, and what that was judged by."""
        failure = self._storage.failure
        connected = self._broker is not None and self._broker.connected
        unhealthy = sorted(self._health.failures())
        ready = (
            self._broker is not None
            and failure is None
            and not self._draining
            and not unhealthy
            and (connected or not self._needs_broker)
        )
        return ready, {
            "ready": ready,
            "draining": self._draining,
            "storage": failure or "usable",
            "queue": "connected" if connected else "out of reach",
            "failing": unhealthy,
        }
