"""What a worker does beside answering: it is watched over, keeps account, tells of pulls.

Each stands in requests' way only where the configuration asks for it.
"""

import asyncio
import os
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from common import logs, tracing
from common.config import Config
from common.debug import NOT_FOUND, Probes, Reply
from common.debug.handing import hand_over
from common.insight.processes import Presence
from common.metrics.metering import Metering
from frontend import request_ids
from frontend import tracing as traces
from frontend.accesslog import AccessLog
from frontend.callers import Callers
from frontend.counting import LoopLag
from frontend.gate import Gate
from frontend.notifications import Notifier
from frontend.observing import Observed, Observer
from frontend.services import Services

# Seconds that the loop may take to come round, before the process counts as stuck.
_ROUND = 5.0
_NO_CONSOLE = Reply(
    b"the console does not run now; `entrepot serve` starts it again within seconds, its log says why\n",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "text/plain",
)
# Of the time to drain, what is kept for the process to end.
_ENDING = 0.5


class Operations:
    """Of one worker; made, like everything that has threads, after the fork."""

    def __init__(self, config: Config, services: Services, listener: socket.socket | None) -> None:
        """Debug pages are served on `listener`, if there is one. Nothing runs before `start`."""
        self._config = config
        self._parent = os.getppid()
        self._broker = services.broker
        self._probes = Probes(config, listener, writes=False)
        self._notifier = (
            Notifier(config, services.naming, services.blobs)
            if config.notifications.active
            else None
        )
        self._presence = Presence(services.layout, "frontend")
        self._metering = Metering(config, "frontend")
        self._lag = LoopLag()
        self._desk, self._tails = services.desk, services.tails
        debug = config.http.debug
        self._console = debug.console.socket if debug.console.enabled else ""
        self._deadline: float | None = None

    def around(self, app: Any) -> Any:
        """The application with all that is to stand before it."""
        if tracing.set_up("frontend"):
            app = traces.Traced(app)
        if self._config.health.checks_something:
            app = Gate(app, self._probes.health)
        observers = self._observers()
        return Observed(app, observers) if observers else app

    def _observers(self) -> list[Observer]:
        observers: list[Observer] = [] if self._notifier is None else [self._notifier]
        if not self._config.log.accesslog_disabled:
            observers.append(AccessLog(Callers(self._config.http.trustedproxies)))
        return observers

    def start(self) -> None:
        """Begin; on the loop whose turning counts as life."""
        logs.also(request_id=request_ids.current_or_none, trace_id=traces.current_id)
        loop = asyncio.get_running_loop()
        if self._notifier is not None:
            self._notifier.start()
        if self._metering.enabled:
            self._lag.start()
        self._metering.start(
            self._broker, self._lag.tell, self._desk.tell_metrics, waiting=self._waiting
        )
        self._probes.start(
            self._broker,
            needs_broker=False,
            lives=lambda: _turns(loop),
            pages=self._metering.pages,
            beyond=self._pass_on if self._console else None,
            absent=_NO_CONSOLE if self._console else NOT_FOUND,
        )
        if not self._config.maintenance.readonly.enabled:
            self._presence.begin()

    def _waiting(self) -> Counter[str]:
        return +(self._desk.waiting() + self._tails.waiting())

    def _pass_on(self, connection: socket.socket) -> bool:
        return hand_over(self._console, connection)

    def drain(self) -> None:
        """The process is to end when it has answered what it answers now."""
        self._deadline = time.monotonic() + self._config.http.draintimeout - _ENDING
        self._probes.readiness.drain()
        if os.getppid() != self._parent:
            # Whoever comes in the dead parent's place needs the address.
            self._probes.stop()

    def close(self) -> None:
        """Tell what is still to be told, while there is time."""
        if self._notifier is not None:
            left = 0.0 if self._deadline is None else self._deadline - time.monotonic()
            self._notifier.close(max(left, _ENDING))
        self._metering.close()
        tracing.shut_down()
        self._lag.close()
        self._probes.stop()
        # Last, as a file server may hang.
        self._presence.end()


def _turns(loop: asyncio.AbstractEventLoop) -> bool:
    turned = threading.Event()
    with suppress(RuntimeError):  # closed
        loop.call_soon_threadsafe(turned.set)
        return turned.wait(_ROUND)
    return False
