"""One process's metrics, told to whoever asks it, and to the processes beside it."""

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus

from common import logs
from common.config import Config
from common.debug.server import Page, Reply
from common.health.readiness import Connected
from common.metrics.catalogue import CONNECTED, REGISTRY
from common.metrics.exposition import CONTENT_TYPE, render
from common.metrics.kinds import Probe, Snapshot
from common.metrics.machine import Busy, Member
from common.metrics.merging import as_distribution, merge
from common.metrics.priming import prime
from common.metrics.processes import watch_process

_log = logs.get(__name__)

# Seconds between two publications. What is counted in between is lost when the process is killed.
_INTERVAL = 1.0


class Metering:
    """Of the process of one role; nothing runs before `start`.

    Where nobody is told nothing ever runs: what is counted is counted in vain.
    """

    def __init__(self, config: Config, role: str) -> None:
        self._settings = config.http.debug.prometheus
        self._role = role
        self._upstreams = tuple(config.proxy.upstreams)
        self._member: Member | None = None
        self._waiting: Callable[[], Mapping[str, int]] = dict
        self._lock = threading.Lock()
        self._has_left = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    @property
    def enabled(self) -> bool:
        """Whether anybody is told: who asks, or the processes beside this one."""
        return self._settings.enabled or bool(self._settings.folder)

    @property
    def pages(self) -> dict[str, Page]:
        """For the debug server, by path."""
        return {self._settings.path: self._page} if self._settings.enabled else {}

    def start(
        self, broker: Connected, *probes: Probe, waiting: Callable[[], Mapping[str, int]] = dict
    ) -> None:
        """Begin; in the process itself, after the last fork. `probes` set gauges when it matters.

        `waiting` says how many clients wait for what, by digest; asked once a second.
        """
        if not self.enabled:
            return
        self._waiting = waiting
        prime(self._role, self._upstreams)
        connected = CONNECTED.of(self._role)
        own = (watch_process(self._role), lambda: connected.set(broker.connected))
        for probe in (*own, *probes):
            REGISTRY.probe(probe)
        if self._settings.folder:
            self._thread.start()

    def close(self) -> None:
        """Publish for the last time, and be gone. One that hangs is left to itself."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_INTERVAL)

    def _run(self) -> None:
        told = False
        while True:
            over = self._ending.wait(_INTERVAL if self._member else 0.0)
            try:
                self._publish()
                told = False
            except (OSError, Busy, ValueError) as error:
                if not told:
                    _log.warning("metrics are not published", reason=str(error))
                told = True
                over = over or self._ending.wait(_INTERVAL)
            if over:
                break
        with self._lock:
            member, self._member = self._member, None
            self._has_left = True
        if member is not None:
            member.leave()

    def _publish(self) -> None:
        with self._lock:
            if self._has_left:
                # Who comes a second time has all that it has counted counted twice.
                raise Busy("this process ends")
            if self._member is None:
                self._member = Member(self._settings.folder)
            self._member.publish(REGISTRY.snapshot())
            self._member.publish_waiting(self._waiting())

    def _page(self) -> Reply:
        try:
            said = self.collect()
        except Busy as busy:
            return Reply(f"{busy}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE, "text/plain")
        return Reply(render(as_distribution(said)), content_type=CONTENT_TYPE)

    def collect_waiting(self) -> Mapping[str, int]:
        """How many clients wait for what on this machine, by digest; raises OSError and Busy."""
        with self._lock:
            return self._waiting() if self._member is None else self._member.collect_waiting()

    def collect(self) -> Snapshot:
        """What all processes of this machine say; of this one alone where there is no folder.

        Raises OSError and Busy, the latter also at the end.
        """
        if not self._settings.folder:
            return merge([REGISTRY.snapshot()])
        # First published, then told: what somebody has seen must not be lost with us.
        self._publish()
        with self._lock:
            return {} if self._member is None else self._member.collect()
