"""The parts of the tests do what the tests rely on."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from common.digest import Digest
from tests.parts.clients import Podman, PullError, Skopeo
from tests.parts.containerd import Containerd
from tests.parts.images import ARCHITECTURE, Layout, random_layer
from tests.parts.process import accepts, free_port
from tests.parts.rabbit import Rabbit
from tests.parts.registry import Registry
from tests.waiting import until


@pytest.fixture
def pushed(registry: Registry, image: Layout) -> str:
    """A reference to the real image, under `parts/real`."""
    image.push("real", registry.host, "parts/real")
    return f"{registry.host}/parts/real:real"


_ANOTHER_RUN = """
import sys
from tests.parts import process

process._PORTS = iter([int(sys.argv[1])])
print(process.free_port())
"""


def test_a_port_is_not_given_to_another_run_though_nobody_listens_yet() -> None:
    argv = [sys.executable, "-c", _ANOTHER_RUN, str(free_port())]
    another = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (another.stdout, another.returncode) == ("", 1)
    assert "there is always another" in another.stderr


def test_skopeo_pulls_what_was_pushed(pushed: str, image: Layout, tmp_path: Path) -> None:
    pulled = Skopeo().copy(pushed, tmp_path / "pulled")
    assert pulled.digest == image.tagged("real")
    assert pulled.blobs == set(image.blobs_of(pulled.digest))
    assert Skopeo().raw(pushed) == image.read(pulled.digest)


def test_podman_pulls_what_was_pushed(pushed: str, image: Layout, tmp_path: Path) -> None:
    assert Podman(tmp_path / "podman").pull(pushed).digest == image.tagged("real")


def test_containerd_pulls_what_was_pushed(pushed: str, image: Layout, tmp_path: Path) -> None:
    with Containerd(tmp_path / "containerd") as containerd:
        pulled = containerd.pull(pushed)
    assert pulled.digest == image.tagged("real")
    assert pulled.blobs >= set(image.blobs_of(pulled.digest))


def test_podman_and_containerd_pull_through_a_mirror(
    pushed: str, image: Layout, registry: Registry, tmp_path: Path
) -> None:
    podman = Podman(tmp_path / "podman")
    podman.mirror("registry.example", registry.host)
    assert podman.pull("registry.example/parts/real:real").digest == image.tagged("real")
    with Containerd(tmp_path / "containerd") as containerd:
        containerd.mirror("registry.example", registry.url)
        pulled = containerd.pull("registry.example/parts/real:real")
    assert pulled.digest == image.tagged("real")


def test_an_index_and_a_schema_2_image_can_be_pushed_and_pulled(
    registry: Registry, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "layout")
    shared = random_layer(20_000, seed=1)
    mine = layout.add_image("mine", [shared, random_layer(10_000, seed=2)])
    other = layout.add_image("other", [shared, random_layer(10_000, seed=3)], "s390x")
    index = layout.add_index("all", {ARCHITECTURE: mine, "s390x": other})
    layout.push("all", registry.host, "parts/index")
    layout.push("mine", registry.host, "parts/schema2", schema2=True)
    reference = f"{registry.host}/parts/index:all"
    pulled = Skopeo().copy(reference, tmp_path / "pulled", every_platform=True)
    assert pulled.digest == index
    assert pulled.blobs == {*layout.blobs_of(mine), *layout.blobs_of(other)}
    assert Podman(tmp_path / "podman").pull(reference).names == {index, mine}
    docker = Skopeo().raw(f"{registry.host}/parts/schema2:mine")
    assert b"application/vnd.docker.distribution.manifest.v2+json" in docker


def test_a_registry_keeps_its_data_and_port_over_a_stop(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    digest = layout.add_image("small", [random_layer(1000, seed=1)])
    with Registry(tmp_path / "storage") as registry:
        layout.push("small", registry.host, "parts/small")
        reference = f"{registry.host}/parts/small@{digest}"
        registry.stop()
        with pytest.raises(PullError):
            Skopeo().raw(reference)
        registry.start()
        assert Digest.of(Skopeo().raw(reference)) == digest


def test_a_registry_can_be_a_mirror_of_another(
    pushed: str, image: Layout, registry: Registry, tmp_path: Path
) -> None:
    with Registry(tmp_path / "mirror", remote=registry.url) as mirror:
        pulled = Skopeo().copy(f"{mirror.host}/parts/real:real", tmp_path / "pulled")
    assert pulled.digest == image.tagged("real")


@contextlib.contextmanager
def channel(url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def test_a_broker_keeps_durable_queues_over_a_stop(rabbit: Rabbit, amqp_url: str) -> None:
    arguments = {"x-queue-type": "quorum"}
    with channel(amqp_url) as opened:
        opened.confirm_delivery()
        opened.queue_declare("kept", durable=True, arguments=arguments)
        opened.basic_publish("", "kept", b"a message", pika.BasicProperties(delivery_mode=2))
    rabbit.stop()
    assert not accepts(rabbit.port)
    rabbit.start()
    with channel(amqp_url) as opened:
        assert until(lambda: opened.basic_get("kept")[2]) == b"a message"


def test_every_test_has_a_virtual_host_to_itself(rabbit: Rabbit) -> None:
    with rabbit.fresh_vhost() as one, rabbit.fresh_vhost() as other:
        with channel(one) as opened:
            opened.queue_declare("mine", durable=True)
        with channel(other) as opened, pytest.raises(pika.exceptions.ChannelClosedByBroker):
            opened.queue_declare("mine", passive=True)


def test_waiting_ends_with_the_condition_or_tells_what_was_waited_for() -> None:
    answers = iter([0, "", 7])
    assert until(lambda: next(answers)) == 7
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"in vain for rain; last seen: None"):
        until(lambda: None, within=0.05, what="rain")
    assert time.monotonic() - began < 20
