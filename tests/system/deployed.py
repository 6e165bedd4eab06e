"""The stack of deploy/ as plain processes: Debian's HAProxy, RabbitMQ and Prometheus with deploy's own
configuration files, in which nothing is changed but addresses and how often is scraped.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import yaml

from tests.parts.process import Process, free_port
from tests.parts.rabbit import DebianRabbit
from tests.waiting import until

DEPLOY = Path("deploy").absolute()


class DeployedRabbit(DebianRabbit):
    """RabbitMQ with deploy/rabbitmq.conf and its plugins."""

    def _make_environment(self) -> dict[str, str]:
        self.prometheus_port = free_port()
        own = f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.prometheus_port}\n"
        with (self._folder / "rabbitmq.conf").open("a") as file:
            file.write((DEPLOY / "rabbitmq.conf").read_text() + own)
        shutil.copy(DEPLOY / "rabbitmq.plugins", self._folder / "plugins")
        return super()._make_environment()


class Deployed:
    """Two frontends, two fetchers, a janitor, a console behind HAProxy, scraped by Prometheus."""

    def __init__(self, folder: Path, remoteurl: str, rabbit: DeployedRabbit) -> None:
        self.folder = folder
        self.port, self.console = free_port(), free_port()
        self.prometheus, self._watch = free_port(), free_port()
        self._rabbit = rabbit
        (folder / "queue_url").write_text(rabbit.url + "\n")
        self._common = {
            "REGISTRY_CONFIGURATION_PATH": str(DEPLOY / "entrepot.yml"),
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(folder / "root"),
            "REGISTRY_QUEUE_URLFILE": str(folder / "queue_url"),
            "REGISTRY_PROXY_REMOTEURL": remoteurl,
            "REGISTRY_FRONTEND_WORKERS": "1",
            "REGISTRY_FETCHER_PROCESSES": "1",
            "REGISTRY_HTTP_DRAINTIMEOUT": "20s",
            "REGISTRY_JANITOR_SWEEPINTERVAL": "2s",
            "REGISTRY_JANITOR_MAXSIZE": "10GB",
        }
        roles = ("frontend", "frontend", "fetcher", "fetcher", "janitor", "console")
        self.members = [(role, free_port(), free_port()) for role in roles]
        self.running: list[Process] = []

    def start(self, index: int) -> Process:
        """Start a member."""
        role, port, debug = self.members[index]
        addresses = {
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
            "REGISTRY_HTTP_DEBUG_ADDR": f"127.0.0.1:{debug}",
        }
        log = self.folder / f"{role}{index}.log"
        return Process([".venv/bin/entrepot", role], log=log, env={**self._common, **addresses})

    def restart(self, index: int) -> None:
        """End a member in good order, start it again, and wait until the balancer may use it."""
        assert self.running[index].terminate(40) == 0, self.running[index].output()
        self.running[index] = self.start(index)
        self.until_ready(index)

    def _end(self, index: int) -> None:
        self.running[index].terminate(30)

    def until_ready(self, index: int) -> None:
        """Wait for a member's readiness."""
        debug = self.members[index][2]
        log = self.running[index].log
        until(lambda: answers(f"http://127.0.0.1:{debug}/debug/ready"), 60, f"{log}")

    @contextmanager
    def up(self) -> Iterator[None]:
        """All of it, running."""
        with ExitStack() as ending:
            for index in range(len(self.members)):
                self.running.append(self.start(index))
                ending.callback(self._end, index)
            for index in range(len(self.members)):
                self.until_ready(index)
            balancer = self._tool("haproxy", ["haproxy", "-db", "-f", self._haproxy()])
            ending.callback(balancer.kill)
            healthy = f"http://127.0.0.1:{self._watch}/healthy"
            until(lambda: answers(healthy), 30, "the balancer to find a frontend")
            argv = [
                *("prometheus", "--config.file", self._prometheus()),
                *("--storage.tsdb.path", str(self.folder / "tsdb")),
                *("--web.listen-address", f"127.0.0.1:{self.prometheus}"),
            ]
            watcher = self._tool("prometheus", argv)
            ending.callback(watcher.kill)
            watcher.until_listening(self.prometheus)
            yield

    def query(self, expression: str) -> list[Any]:
        """What Prometheus answers now."""
        url = f"http://127.0.0.1:{self.prometheus}/api/v1/query?query={quote(expression)}"
        with urlopen(url, timeout=20) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
        return found

    def _tool(self, name: str, argv: list[str]) -> Process:
        path = shutil.which(argv[0], path="/usr/sbin:/usr/bin:/usr/local/bin")
        assert path, f"{name} is not installed"
        return Process([path, *argv[1:]], log=self.folder / f"{name}.log")

    def _haproxy(self) -> str:
        text = (DEPLOY / "haproxy.cfg").read_text()
        servers = "\n".join(
            f"    server frontend{n} 127.0.0.1:{port} port {debug}"
            for n, (role, port, debug) in enumerate(self.members)
            if role == "frontend"
        )
        pages = f"server console 127.0.0.1:{self.members[-1][2]}"
        changes = {
            "bind :5000": f"bind 127.0.0.1:{self.port}",
            "bind :5001": f"bind 127.0.0.1:{self.console}",
            "server-template console 1 console:5001 resolvers system init-addr none": pages,
            "bind :8405": f"bind 127.0.0.1:{self._watch}",
            "check port 5001 inter 1s fall 2 rise 1 resolvers system init-addr none": "check inter 1s fall 2 rise 1",
            "    server-template frontend 1-16 frontend:5000": servers,
        }
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.folder / "haproxy.cfg").write_text(text)
        return str(self.folder / "haproxy.cfg")

    def _prometheus(self) -> str:
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus" / each) for each in config["rule_files"]]
        ports = {
            role: [debug for each, _, debug in self.members if each == role]
            for role in ("frontend", "fetcher", "janitor")
        }
        ports |= {"rabbitmq": [self._rabbit.prometheus_port], "balancer": [self._watch]}
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [
                {"targets": [f"127.0.0.1:{port}" for port in ports[job["job_name"]]]}
            ]
        (self.folder / "prometheus.yml").write_text(json.dumps(config))
        return str(self.folder / "prometheus.yml")


def answers(url: str) -> bool:
    """Whether a page is there and says 2xx."""
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False
