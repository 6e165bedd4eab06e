"""deploy/compose.yml started through the engine's interface, exactly as it says.

Compose itself is not needed, and health does not depend on the engine's own timers: the health
checks are run here, by their words in the file. Published ports alone are others.
"""

import re
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import APIError, NotFound
from docker.types import Ulimit

from tests.parts.process import free_port
from tests.waiting import until

FILE = Path(__file__).parents[2] / "deploy/compose.yml"


class Composition:
    """The services of compose.yml as containers whose names begin with `project`."""

    def __init__(self, client: docker.DockerClient, project: str, secrets: Path) -> None:
        self.file: dict[str, Any] = yaml.safe_load(FILE.read_text())
        self.services: dict[str, dict[str, Any]] = self.file["services"]
        self.project = project
        self.ports: dict[tuple[str, int], int] = {}
        self._client = client
        self._secrets = secrets
        self._running: dict[str, list[Any]] = {}
        self._made: list[Any] = []
        self._networks: dict[str, Any] = {}
        self._environment: Mapping[str, str] = {}

    def images(self, without: set[str]) -> set[str]:
        """Names of the images that the services need."""
        return {each["image"] for name, each in self.services.items() if name not in without}

    def prepare(self) -> None:
        """Networks and volumes."""
        for name, options in self.file["networks"].items():
            internal = bool((options or {}).get("internal"))
            made = self._client.networks.create(f"{self.project}-{name}", internal=internal)
            made.reload()
            self._networks[name] = made
        for name in self.file["volumes"]:
            self._client.volumes.create(f"{self.project}-{name}")

    def gateway(self, network: str) -> str:
        """This machine's address in a network."""
        return str(self._networks[network].attrs["IPAM"]["Config"][0]["Gateway"])

    def up(
        self, scale: Mapping[str, int], without: set[str], environment: Mapping[str, str]
    ) -> None:
        """Start everything but `without`, each when what it depends on is healthy."""
        self._environment = environment
        for name in self._in_order(without):
            service = self.services[name]
            count = scale.get(name, service.get("deploy", {}).get("replicas", 1))
            self._running[name] = [self._start(name, service, n) for n in range(count)]
            # What follows may need it; what runs side by side starts side by side.
            if any(name in other.get("depends_on", {}) for other in self.services.values()):
                self.until_healthy(name)
        for name in self._running:
            self.until_healthy(name)

    def of(self, service: str) -> list[Any]:
        """The containers of a service."""
        return self._running[service]

    def until_healthy(self, service: str, within: float = 180.0) -> None:
        """Wait until the service's own health check passes in each of its containers."""
        for container in self._running[service]:
            until(
                partial(self._settled, service, container),
                within,
                f"{container.name} to be healthy",
            )
            assert not self._ended(container), self.log(container)

    def is_healthy(self, service: str, container: Any) -> bool:
        """Whether the health check of compose.yml passes now."""
        kind, *argv = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        try:
            return bool(container.exec_run(argv).exit_code == 0)
        except APIError:
            return False

    def restart(self, service: str, index: int) -> float:
        """As `docker compose restart` does; seconds until it was healthy again."""
        container, began = self._running[service][index], time.monotonic()
        container.restart(timeout=_seconds(self.services[service].get("stop_grace_period", "10s")))
        until(lambda: self.is_healthy(service, container), 180, f"{container.name} to come back")
        return time.monotonic() - began

    def log(self, container: Any) -> str:
        """The end of what a container said."""
        said: bytes = container.logs(tail=60)
        return f"{container.name}:\n{said.decode(errors='replace')}"

    def down(self) -> None:
        """Remove everything that was made, and all that was stored."""
        for container in self._made:
            container.remove(force=True, v=True)
        for network in self._networks.values():
            network.remove()
        for name in self.file["volumes"]:
            try:
                self._client.volumes.get(f"{self.project}-{name}").remove(force=True)
            except NotFound:
                continue

    def _in_order(self, without: set[str]) -> list[str]:
        left = [name for name in self.services if name not in without]
        done: list[str] = []
        while left:
            free = [
                name
                for name in left
                if all(needed in done for needed in self.services[name].get("depends_on", {}))
            ]
            assert free, f"services wait for each other: {left}"
            done += free
            left = [name for name in left if name not in free]
        return done

    def _start(self, name: str, service: dict[str, Any], index: int) -> Any:
        networks = [self._networks[each] for each in service["networks"]]
        options: dict[str, Any] = {
            "name": f"{self.project}-{name}-{index + 1}",
            "command": service.get("command"),
            "hostname": service.get("hostname"),
            "user": service["user"],
            "read_only": service["read_only"],
            "tmpfs": dict.fromkeys(service["tmpfs"], ""),
            "cap_drop": service["cap_drop"],
            "security_opt": ["no-new-privileges"],
            "environment": {**service.get("environment", {}), **self._added(service)},
            "volumes": [*self._volumes(service), *self._secret_files(service)],
            "ports": dict(self._published(name, service)),
            "stop_signal": service.get("stop_signal"),
            "ulimits": list(_ulimits(service)),
            "network": networks[0].name,
            "networking_config": {
                networks[0].name: self._client.api.create_endpoint_config(aliases=[name])
            },
        }
        container = self._client.containers.create(service["image"], **options, **_limits(service))
        self._made.append(container)
        for network in networks[1:]:
            network.connect(container, aliases=[name])
        container.start()
        return container

    def _added(self, service: dict[str, Any]) -> Mapping[str, str]:
        return self._environment if service["image"] == "entrepot" else {}

    def _volumes(self, service: dict[str, Any]) -> Iterator[str]:
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                yield f"{(FILE.parent / source).resolve()}:{rest}"
            else:
                yield f"{self.project}-{source}:{rest}"

    def _secret_files(self, service: dict[str, Any]) -> Iterator[str]:
        for secret in service.get("secrets", []):
            name = secret if isinstance(secret, str) else secret["source"]
            target = f"/run/secrets/{name}" if isinstance(secret, str) else secret["target"]
            yield f"{self._secrets / Path(self.file['secrets'][name]['file']).name}:{target}:ro"

    def _published(
        self, name: str, service: dict[str, Any]
    ) -> Iterator[tuple[str, tuple[str, int]]]:
        for published in service.get("ports", []):
            inside = int(published.rpartition(":")[2])
            # Any free port of the loopback: the file's own may be taken here.
            self.ports[name, inside] = free_port()
            yield f"{inside}/tcp", ("127.0.0.1", self.ports[name, inside])

    def _settled(self, service: str, container: Any) -> bool:
        return self._ended(container) or self.is_healthy(service, container)

    @staticmethod
    def _ended(container: Any) -> bool:
        container.reload()
        return bool(container.status in ("exited", "dead"))


def _ulimits(service: dict[str, Any]) -> Iterator[Ulimit]:
    for name, most in service.get("ulimits", {}).items():
        yield Ulimit(name=name, soft=most, hard=most)
        # podman adds this one to any, as high as only a machine's own root may set it.
        yield Ulimit(name="nproc", soft=1000, hard=1000)


def _limits(service: dict[str, Any]) -> dict[str, Any]:
    limits = service["deploy"]["resources"]["limits"]
    return {
        "mem_limit": limits["memory"].lower(),
        "nano_cpus": int(float(limits["cpus"]) * 1e9),
        "pids_limit": limits["pids"],
    }


def _seconds(duration: str) -> int:
    number = re.fullmatch(r"(\d+)s", duration)
    assert number, duration
    return int(number[1])
