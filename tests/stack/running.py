"""`make test-stack`: three frontends, three fetchers, RabbitMQ, janitor, balancer and Prometheus of
deploy/compose.yml as containers. Grafana is left out: where no image can be pulled there is none to
make one of; its dashboards are tested by their queries (tests/system/test_stack.py).
"""

import json
import statistics
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest

from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.parts.images import Layout, random_layer
from tests.stack import engine, images
from tests.stack.composition import Composition
from tests.stack.customers import Pull, crowd, pull
from tests.stack.relay import Relay
from tests.waiting import until

_LEFT_OUT = {"grafana"}
_CLIENTS = 200
_MEGABYTE = 1_000_000


@dataclass
class Stack:
    services: Composition
    upstream: Upstream
    layout: Layout
    address: str

    @property
    def port(self) -> int:
        return self.services.ports["balancer", 5000]

    def gets(self, tag: str) -> dict[str, int]:
        """How often each blob of an image was asked of the upstream."""
        blobs = self.layout.blobs_of(self.layout.tagged(tag))
        return {each: len(self.upstream.seen(f"*/blobs/{each}", "GET")) for each in blobs}

    def size(self, tag: str) -> int:
        return sum(len(self.layout.read(each)) for each in self.gets(tag))

    def sent(self, tag: str) -> int:
        return sum(self.upstream.sent(f"*/blobs/{each}") for each in self.gets(tag))


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    try:
        found = engine.connect()
    except engine.NoEngineError as error:
        pytest.fail(str(error), pytrace=False)
    yield found
    found.close()


@pytest.fixture(scope="module")
def stack(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    secrets = folder / "secrets"
    secrets.mkdir()
    make = Path("deploy/secrets/make").read_bytes()
    (secrets / "make").write_bytes(make)
    subprocess.run(["sh", str(secrets / "make")], check=True)
    services = Composition(client, f"entrepot-test-{uuid.uuid4().hex[:6]}", secrets)
    made = images.provide(client, services.images(_LEFT_OUT))
    print(f"\nmade on this machine: {made or 'none'}")  # noqa: T201 - for the report
    layout = _layout(folder / "layout")
    try:
        services.prepare()
        with Upstream() as upstream:
            for tag in ("calm", "stormy"):
                layout.put_into(upstream.content, tag, "library/app", as_tag=tag)
            with Relay(services.gateway("outside"), int(upstream.host.rpartition(":")[2])) as relay:
                address = f"{services.gateway('outside')}:{relay.port}"
                remote = {"REGISTRY_PROXY_REMOTEURL": f"http://{address}"}
                services.up({"frontend": 3, "fetcher": 3}, _LEFT_OUT, remote)
                yield Stack(services, upstream, layout, address)
    finally:
        services.down()


def _layout(folder: Path) -> Layout:
    folder.mkdir()
    layout = Layout(folder)
    layout.add_image("calm", [random_layer(3 * _MEGABYTE, n) for n in (1, 2, 3)])
    layout.add_image("stormy", [random_layer(4 * _MEGABYTE, n) for n in (4, 5, 6)])
    return layout


def _tell(name: str, pulls: list[Pull]) -> None:
    seconds = sorted(each.seconds for each in pulls)
    received = sum(each.received for each in pulls)
    again = sum(each.again for each in pulls)
    print(  # noqa: T201 - the figures are what the run is for
        f"\n{name}: {len(pulls)} pulls, {received / 1e9:.2f} GB, median"
        f" {statistics.median(seconds):.1f} s, last {seconds[-1]:.1f} s, {again} requests again"
    )


def test_every_service_runs_without_root_and_cannot_write_its_own_files(stack: Stack) -> None:
    for name in set(stack.services.services) - _LEFT_OUT:
        container = stack.services.of(name)[0]
        assert container.exec_run(["id", "-u"]).output.strip() != b"0"
        assert container.exec_run(["touch", "/usr/bin/new"]).exit_code != 0
        assert container.attrs["HostConfig"]["ReadonlyRootfs"], name


@pytest.mark.usefixtures("stack")
def test_the_image_serves_as_any_user_with_a_read_only_root(client: docker.DockerClient) -> None:
    container = client.containers.run(
        images.OURS,
        user="12345:0",
        read_only=True,
        cap_drop=["ALL"],
        tmpfs={"/tmp": "", "/var/lib/registry": "mode=1777"},
        detach=True,
    )
    try:
        until(
            lambda: container.exec_run(images.health_check()).exit_code == 0,
            60,
            f"the image's own health check to pass; {container.logs().decode()}",
        )
        assert container.exec_run(["id", "-u"]).output.strip() == b"12345"
    finally:
        container.remove(force=True, v=True)


def test_only_fetchers_have_a_way_to_the_upstream(stack: Stack) -> None:
    ask = ["python", "-c", "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)"]
    argv = [*ask, f"http://{stack.address}/v2/"]

    def gets_there(name: str) -> bool:
        return bool(stack.services.of(name)[0].exec_run(argv).exit_code == 0)

    until(lambda: gets_there("fetcher"), 60, "a fetcher to reach the upstream")
    assert not any(map(gets_there, ("frontend", "janitor", "console")))


def test_200_cold_pulls_cost_one_download_of_each_blob(stack: Stack) -> None:
    stack.upstream.fail("*/blobs/*", Throttle(3 * _MEGABYTE))
    pulls = crowd(_CLIENTS, stack.port, "library/app", "calm")
    _tell("cold", pulls)
    # In one request or in parts: each byte once.
    assert stack.sent("calm") == stack.size("calm")
    stack.upstream.heal()
    _tell("warm", crowd(_CLIENTS, stack.port, "library/app", "calm"))
    assert stack.sent("calm") == stack.size("calm")


def test_no_pull_is_lost_while_frontend_fetcher_and_broker_restart(stack: Stack) -> None:
    stack.upstream.fail("*/blobs/*", Throttle(_MEGABYTE // 2))
    with ThreadPoolExecutor(_CLIENTS) as pool:
        running = [pool.submit(pull, stack.port, "library/app", "stormy") for _ in range(_CLIENTS)]
        until(lambda: stack.sent("stormy") > _MEGABYTE // 2, 60, "bytes to come")
        for name in ("frontend", "fetcher", "rabbitmq"):
            took = stack.services.restart(name, 0)
            print(f"\n{name} restarted in {took:.1f} s")  # noqa: T201
        stack.upstream.heal()
        pulls = [each.result() for each in running]
    _tell("cold, with restarts", pulls)
    gets = stack.gets("stormy")
    print(f"upstream asked {sorted(gets.values())} times")  # noqa: T201
    # A fetcher that ends in good order finishes what it downloads, or its successor continues it:
    # no byte is downloaded twice but what lay in between.
    assert stack.sent("stormy") < 1.1 * stack.size("stormy")


def test_a_rolling_restart_of_the_frontends_loses_no_pull(stack: Stack) -> None:
    pulls: list[Pull] = []
    with ThreadPoolExecutor(4) as pool:
        restarts = pool.submit(
            lambda: [stack.services.restart("frontend", index) for index in range(3)]
        )
        while not restarts.done():
            pulls += pool.map(lambda _: pull(stack.port, "library/app", "calm"), range(3))
        restarts.result()
    _tell("rolling restart", pulls)


def test_prometheus_reaches_every_process(stack: Stack) -> None:
    port = stack.services.ports["prometheus", 9090]

    def up() -> dict[str, int]:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=10) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        found: dict[str, int] = {}
        for each in targets:
            job = each["labels"]["job"]
            found[job] = found.get(job, 0) + (each["health"] == "up")
        return found

    wanted = {"frontend": 3, "fetcher": 3, "janitor": 1, "rabbitmq": 1, "balancer": 1}
    until(lambda: up() == wanted, 120, f"all targets to be up: {wanted}; {up()}")
