"""Real clients pull a real image through all of it, from a real registry."""

import json
from collections.abc import Iterator
from os.path import exists
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import Kind
from common.paths import Layout as Paths
from common.reference import RepositoryName
from tests.parts.clients import Podman, Skopeo
from tests.parts.containerd import Containerd
from tests.parts.images import Layout, random_layer
from tests.parts.registry import Registry
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

APP = RepositoryName("library/app")


@pytest.fixture
def pulled_from(registry: Registry, image: Layout) -> Digest:
    image.push("real", registry.host, "library/app")
    return image.tagged("real")


@pytest.fixture
def cache(
    tmp_path: Path, registry: Registry, queue_url: str | None, pulled_from: Digest
) -> Iterator[Cluster]:
    proxy = {"namespaces": ["docker.io"]}
    with cluster(tmp_path / "cache", registry.url, queue_url, proxy=proxy) as running:
        yield running


def test_skopeo_podman_and_containerd_pull_the_upstreams_image(
    cache: Cluster, registry: Registry, image: Layout, pulled_from: Digest, tmp_path: Path
) -> None:
    reference = f"{cache.host}/library/app:real"
    skopeo = Skopeo()
    assert skopeo.raw(reference) == skopeo.raw(f"{registry.host}/library/app:real")
    copied = skopeo.copy(reference, tmp_path / "copied")
    assert copied.digest == pulled_from
    assert copied.blobs == set(image.blobs_of(pulled_from))
    assert Podman(tmp_path / "podman").pull(reference).digest == pulled_from
    with Containerd(tmp_path / "containerd") as containerd:
        assert containerd.pull(reference).digest == pulled_from


def test_containerd_pulls_through_us_as_its_mirror(
    cache: Cluster, image: Layout, pulled_from: Digest, tmp_path: Path
) -> None:
    with Containerd(tmp_path / "containerd") as containerd:
        containerd.mirror("docker.io", f"http://{cache.host}")
        pulled = containerd.pull("docker.io/library/app:real")
    assert pulled.digest == pulled_from
    assert pulled.blobs >= set(image.blobs_of(pulled_from))


def test_podman_pulls_through_us_as_its_mirror(
    cache: Cluster, pulled_from: Digest, tmp_path: Path
) -> None:
    podman = Podman(tmp_path / "podman")
    podman.mirror("docker.io", cache.host)
    assert podman.pull("docker.io/library/app:real").digest == pulled_from


def test_an_index_and_a_schema_2_image_come_through(
    cache: Cluster, registry: Registry, tmp_path: Path, image: Layout
) -> None:
    layers = Layout(tmp_path / "more")
    one = layers.add_image("one", [random_layer(100_000, 7)], "amd64")
    other = layers.add_image("other", [random_layer(100_000, 8)], "arm64")
    index = layers.add_index("all", {"amd64": one, "arm64": other})
    layers.push("all", registry.host, "library/many")
    layers.push("one", registry.host, "library/docker", schema2=True)
    got = cache.get("/v2/library/many/manifests/all")
    assert (Digest.of(got.body), got.headers["content-type"]) == (
        index,
        "application/vnd.oci.image.index.v1+json",
    )
    skopeo = Skopeo()
    everything = skopeo.copy(
        f"{cache.host}/library/many:all", tmp_path / "all", every_platform=True
    )
    assert {*layers.blobs_of(one), *layers.blobs_of(other)} <= everything.blobs
    schema2 = cache.get("/v2/library/docker/manifests/one")
    assert schema2.headers["content-type"] == json.loads(schema2.body)["mediaType"]
    assert "docker.distribution.manifest.v2" in schema2.headers["content-type"]


def test_docker_registry_serves_what_we_cached(
    cache: Cluster, pulled_from: Digest, image: Layout, tmp_path: Path
) -> None:
    Skopeo().copy(f"{cache.host}/library/app:real", tmp_path / "copied")
    for digest in (pulled_from, *image.blobs_of(pulled_from)):
        cache.until_committed(digest)
    with Registry(cache.root) as plain:
        served = Skopeo().copy(f"{plain.host}/library/app:real", tmp_path / "served")
    assert served.digest == pulled_from
    assert served.blobs == set(image.blobs_of(pulled_from))


def test_we_serve_what_docker_registry_cached_with_the_upstream_off(
    registry: Registry, queue_url: str | None, image: Layout, pulled_from: Digest, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "root"
    with Registry(folder, remote=registry.url) as mirror:
        Skopeo().copy(f"{mirror.host}/library/app:real", tmp_path / "first")
        # distribution links a blob some time after its client has it.
        paths = Paths(str(folder))
        blobs = image.blobs_of(pulled_from)
        until(lambda: all(exists(paths.link(Kind.LAYER, APP, blob)) for blob in blobs), 20)
    with cluster(tmp_path / "cache", "http://127.0.0.1:1", queue_url) as cache:
        served = Skopeo().copy(f"{cache.host}/library/app:real", tmp_path / "served")
    assert served.digest == pulled_from
    assert served.blobs == set(image.blobs_of(pulled_from))
