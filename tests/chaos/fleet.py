"""The processes: several of each role, and a load balancer before the frontends."""

import http.client
import json
import os
import random
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.disturbances import FRONTEND, Disturbance, Disturbances
from tests.chaos.plan import Plan
from tests.parts.process import Process, free_port

ROOT = Path(__file__).parents[2]

# Seconds after which a load balancer has noticed that a frontend is gone, or back.
_NOTICED = 2.0
# What a frontend has to say that it serves: nothing else is done meanwhile.
_PROMPT = 0.5
_DRAIN = 8.0

UP = "up"
STOPPED = "stopped"
DOWN = "down"
ENDING = "ending"


class Member:
    """One process of a role, in all its lives. The first of each role is spared: it is never
    killed, so that memory and open files can be watched over the whole run.
    """

    def __init__(self, role: str, number: int, file: Path, disturbances: Disturbances) -> None:
        self.role = role
        self.name = f"{role}{number}"
        self.is_spared = number == 0
        self.host = f"{_loopback()}:{free_port()}"
        self.state = DOWN
        self.lives = 0
        self.surprises: list[int] = []
        """Exit codes of ends that nobody asked for, or that were no good ends."""
        self._file = file
        self._disturbances = disturbances
        self._disturbance: Disturbance | None = None
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Of the process that leads the group."""
        assert self._process is not None
        return self._process.pid

    def pids(self) -> list[int]:
        """Of all its processes: gunicorn's workers too."""
        return [self.pid, *_children(self.pid)]

    def start(self) -> None:
        """Start it, in whatever state its last life left the world."""
        argv = [sys.executable, "-m", "entrepot", self.role, str(self._file)]
        self._process = Process(
            argv,
            log=self._file.parent / f"{self.name}.log",
            env={"REGISTRY_HTTP_ADDR": self.host},
            cwd=ROOT,
        )
        self.state = UP
        self.lives += 1

    def said(self) -> str:
        """Its log, of all its lives."""
        assert self._process is not None
        return self._process.output()

    @property
    def is_ready(self) -> bool:
        """Whether it has come so far that it takes a SIGTERM for a request.

        Before, while Python still starts, the signal's default ends it.
        """
        with suppress(OSError), open(f"/proc/{self.pid}/cmdline", "rb") as file:
            return file.read().startswith(b"entrepot: ") and self.answers()
        return False

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self._disturbed()
        assert self._process is not None
        self._process.kill()
        self.state = DOWN

    def kill_worker(self) -> None:
        """Only the process that answers: gunicorn starts another one."""
        self._disturbed()
        for pid in _children(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Freeze it."""
        self._disturbed()
        os.killpg(self.pid, signal.SIGSTOP)
        self.state = STOPPED

    def go_on(self) -> None:
        """Let it go on after `stop`."""
        if self.state == STOPPED:
            os.killpg(self.pid, signal.SIGCONT)
            self.state = UP

    def end(self) -> None:
        """Ask it to end in good order."""
        self._disturbed()
        os.kill(self.pid, signal.SIGTERM)
        self.state = ENDING

    def look(self) -> None:
        """Notice that it has ended, or that a frontend answers again."""
        code = None if self._process is None or self.state == DOWN else self._process.exit_code
        if code is not None:
            if self.state != ENDING or code != 0:
                self.surprises.append(code)
            self.state = DOWN
        if self._disturbance is not None and self.answers():
            self._disturbances.finish(self._disturbance)
            self._disturbance = None

    def survivors(self) -> int:
        """Ends what is left of its group by force; whether there was anything."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return 0
        return 1

    def answers(self) -> bool:
        """Whether a frontend has a worker that serves; of others, whether they are up."""
        if self.state != UP:
            return False
        # The master listens while there is no worker yet, or one that has died and is still listed.
        return self.role != "frontend" or _serves(self.host, _PROMPT)

    def _disturbed(self) -> None:
        if self.role == "frontend" and self._disturbance is None:
            self._disturbance = self._disturbances.begin(FRONTEND, self.name, _NOTICED)


class Fleet:
    """All members, and their one configuration."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        remoteurl: str,
        queue_url: str,
        disturbances: Disturbances,
        *,
        maxsize: int,
    ) -> None:
        self.root = folder / "root"
        self.folder = folder
        self.port = free_port()
        self.counts: Counter[str] = Counter()
        file = folder / "config.yml"
        config = _config(plan, str(self.root), remoteurl, queue_url)
        config["janitor"]["maxsize"] = maxsize
        file.write_text(json.dumps(config))
        sizes = {"frontend": plan.frontends, "fetcher": plan.fetchers, "janitor": plan.janitors}
        self.members = [
            Member(role, number, file, disturbances)
            for role, size in sizes.items()
            for number in range(size)
        ]
        self._balancer: Process | None = None

    def of(self, role: str, *states: str) -> list[Member]:
        """The members of a role that are in one of these states."""
        return [each for each in self.members if each.role == role and each.state in states]

    def start(self) -> None:
        """Start all of it; returns at once but for the load balancer."""
        for member in self.members:
            member.start()
        file = self.folder / "haproxy.cfg"
        file.write_text(_haproxy(self.port, self.of("frontend", UP)))
        self._balancer = Process(
            ["haproxy", "-db", "-f", str(file)],
            log=self.folder / "haproxy.log",
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )
        self._balancer.until_listening(self.port)

    def look(self) -> None:
        """Notice what has happened to the members."""
        for member in self.members:
            member.look()

    def must_live(self) -> None:
        """Raise AssertionError, with what it said, where one has ended by itself."""
        for member in self.members:
            assert not member.surprises, f"{member.name} ended:\n{member.said()[-4000:]}"

    def serves(self) -> bool:
        """Whether the load balancer passes on what a frontend answers."""
        return _serves(f"127.0.0.1:{self.port}", 5.0)

    def close(self) -> None:
        """End everything that still runs, by force."""
        for member in self.members:
            if member.state != DOWN:
                member.kill()
        if self._balancer is not None:
            self._balancer.kill()


def _config(plan: Plan, root: str, remoteurl: str, queue_url: str) -> dict[str, Any]:
    return {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": root}},
        "http": {"draintimeout": f"{_DRAIN}s"},
        "proxy": {"remoteurl": remoteurl, "ttl": f"{plan.ttl}s", "tagttl": "2s"},
        "queue": {"url": queue_url},
        "frontend": {"workers": 1, "patience": f"{plan.patience}s"},
        "fetcher": {
            "lease": f"{plan.lease}s",
            "readtimeout": "2s",
            "connecttimeout": "2s",
        },
        "janitor": {"grace": "2s", "sweepinterval": f"{plan.sweep_interval}s"},
    }


def _haproxy(port: int, frontends: list[Member]) -> str:
    servers = "\n".join(f"  server {each.name} {each.host}" for each in frontends)
    return f"""\
global
  maxconn 2000
defaults
  mode http
  timeout connect 2s
  # Without this a check has to be answered before the next one is due.
  timeout check 2s
  timeout client 120s
  timeout server 120s
  option redispatch
  option httpchk GET /v2/
  default-server check inter 500ms fall 2 rise 1
frontend clients
  bind 127.0.0.1:{port}
  default_backend entrepot
backend entrepot
  balance roundrobin
  # Not on answers of its own: who served it tells whose failure it is.
  http-response set-header X-Served-By %[srv_name]
{servers}
"""


def _loopback() -> str:
    """An address of this machine that nobody else uses: while a frontend is down, no other program
    shall be given its port and answer in its place.
    """
    return f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"


def _serves(host: str, within: float) -> bool:
    connection = http.client.HTTPConnection(host, timeout=within)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _children(pid: int) -> list[int]:
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(each) for each in file.read().split()]
    return []
