"""The pages that tell how a process is, and the watches behind them: the same for every role.

/debug/health    distribution's: 200 {}, or 503 and what is wrong, by check
/debug/live      200 while the process can still do anything: restart it when this fails
/debug/ready     200 while it should be given work: send it none when this fails
"""

import errno
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from common import logs
from common.config import Config
from common.debug.server import NOT_FOUND, Beyond, Page, Reply, Server, listen
from common.errors import ConfigError, ConfigProblem
from common.health import Monitor, Readiness, Watch, checks, monitor_of
from common.health.readiness import Connected
from common.paths import Layout

_log = logs.get(__name__)

# Seconds between two looks at the storage folder, for readiness.
_INTERVAL = 5.0
# A predecessor that was killed leaves workers, which let go of the address within some seconds.
_TAKEN_SECONDS = 5.0


class Probes:
    """A process's health, and its pages when `listener` is one.

    `writes` is whether the process must be able to write in the storage folder.
    """

    def __init__(self, config: Config, listener: socket.socket | None, *, writes: bool) -> None:
        """Nothing runs before `start`."""
        layout = Layout(config.storage.rootdirectory)
        check = (
            checks.folder_takes_files(layout.root, layout.temporary)
            if writes and not config.maintenance.readonly.enabled
            else checks.folder_answers(layout.root)
        )
        self.health: Monitor = monitor_of(config.health, config.storage.rootdirectory)
        self._storage = Watch("storage folder", check, _INTERVAL)
        self.readiness = Readiness(self._storage, self.health)
        self._listener = listener
        self._server: Server | None = None

    def start(
        self,
        broker: Connected,
        *,
        needs_broker: bool,
        lives: Callable[[], bool] = lambda: True,
        pages: Mapping[str, Page] | None = None,
        beyond: Beyond | None = None,
        absent: Reply = NOT_FOUND,
    ) -> None:
        """Look, and answer; `lives` may take some seconds, `pages` are more of them, by path.

        `beyond` and `absent`: see Server.
        """
        self.health.start()
        self.readiness.begin(broker, needs_broker=needs_broker)
        if self._listener is None:
            return
        self._storage.start()
        own = {
            "/debug/health": self._health,
            "/debug/ready": self._ready,
            "/debug/live": lambda: _verdict(holds=lives(), name="alive"),
        }
        self._server = Server(self._listener, {**own, **(pages or {})}, beyond, absent)
        self._server.start()

    def stop(self) -> None:
        """Answer no more."""
        self.health.stop()
        self._storage.stop()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _health(self) -> Reply:
        failures = self.health.failures()
        status = HTTPStatus.SERVICE_UNAVAILABLE if failures else HTTPStatus.OK
        return Reply.of(failures, status)

    def _ready(self) -> Reply:
        ready, report = self.readiness.report()
        return Reply.of(report, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


def open_listener(config: Config) -> socket.socket | None:
    """The socket at `http.debug.addr`, None where there is to be none; raises ConfigError."""
    if not config.http.debug.addr:
        return None
    deadline = time.monotonic() + _TAKEN_SECONDS
    while True:
        try:
            listener = listen(*config.http.debug.listen)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                expected = f"expected an address to listen on: {error.strerror}"
                problem = ConfigProblem("configuration", "http.debug.addr", expected)
                raise ConfigError([problem]) from error
            time.sleep(0.1)
        else:
            _log.info("debug server listens", address=config.http.debug.addr)
            return listener


def _verdict(*, holds: bool, name: str) -> Reply:
    return Reply.of({name: holds}, HTTPStatus.OK if holds else HTTPStatus.SERVICE_UNAVAILABLE)
