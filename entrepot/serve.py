"""`entrepot serve`: every role on this machine, under one supervisor."""

import os
import sys
import time

from setproctitle import setproctitle

from common import logs
from common.config import Config
from common.config.model import Debug
from common.metrics.folders import counted_together
from entrepot.address import Address, address_of
from entrepot.child import ChildSpec
from entrepot.configuration import SUPERVISED
from entrepot.probe import Probe
from entrepot.supervisor import Supervisor

log = logs.get(__name__)

# The order of going. A stream that a frontend finishes may be one that a fetcher still fills;
# a janitor disturbs neither, and needs neither; a console looks on until the end.
_FRONTEND, _FETCHER, _JANITOR, _CONSOLE = range(4)

# A predecessor that was killed leaves workers that notice within a second or two.
_TAKEN_SECONDS = 5.0


def run(config: Config, path: str | None) -> int:
    """Run everything until told to stop; the exit status.

    `path` is the configuration's, handed to the processes as it was given to us.
    1 when another program has the address.
    """
    setproctitle("entrepot: serve")
    address = address_of(config.http).settled()
    if not _becomes_free(address):
        log.error("the address is taken by another program", address=address.configured)
        return 1
    with counted_together(config, with_console=config.http.debug.has_console) as counted:
        supervisor = Supervisor(
            child_specs(counted, path, address),
            drain=config.http.draintimeout,
            probe=Probe(address),
            on_ready=lambda: log.info("entrepot serves", address=str(address)),
        )
        log.info("starting", pid=os.getpid(), rootdirectory=config.storage.rootdirectory)
        status = supervisor.run()
    log.info("stopped", status=status)
    return status


def child_specs(config: Config, path: str | None, address: Address) -> list[ChildSpec]:
    """The processes of one machine. `address` has a port of its own, also where `http.addr` says 0."""
    environment = {SUPERVISED: "1"}
    debug = config.http.debug
    if debug.prometheus.folder:
        environment["REGISTRY_HTTP_DEBUG_PROMETHEUS_FOLDER"] = debug.prometheus.folder
    if debug.has_console:
        environment["REGISTRY_HTTP_DEBUG_CONSOLE_SOCKET"] = _console_socket(debug)
    if not address.path:
        environment["REGISTRY_HTTP_ADDR"] = address.configured
    fetchers = [f"fetcher {number}" for number in range(1, config.fetcher.processes + 1)]
    stages = {"frontend": _FRONTEND, **dict.fromkeys(fetchers, _FETCHER), "janitor": _JANITOR}
    if debug.has_console:
        stages["console"] = _CONSOLE
    # One address for the whole machine: the frontend answers there, or passes on to the console.
    silent = {**environment, "REGISTRY_HTTP_DEBUG_ADDR": ""}
    return [
        ChildSpec(
            name,
            _command(name.partition(" ")[0], path),
            stage,
            environment if stage in {_FRONTEND, _CONSOLE} else silent,
        )
        for name, stage in stages.items()
    ]


def _console_socket(debug: Debug) -> str:
    """Beside the machine's metrics: the folder is its user's alone, and there while we are."""
    return debug.console.socket or os.path.join(debug.prometheus.folder, "console")


def _command(role: str, path: str | None) -> tuple[str, ...]:
    # -P: the folder we are started in must not stand in for our packages, whose names are plain
    # words ("common", "frontend") that many a folder has.
    command = (sys.executable, "-P", "-m", "entrepot", role)
    return (*command, path) if path else command


def _becomes_free(address: Address) -> bool:
    deadline = time.monotonic() + _TAKEN_SECONDS
    while address.is_taken():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True
