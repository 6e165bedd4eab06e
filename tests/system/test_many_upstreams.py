"""Two upstreams behind one cache, with real clients: by `ns` and by path prefix.

One is anonymous. The other gives tokens for a password, and its blobs from another host.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.digest import Digest
from tests.parts.clients import Podman, Skopeo
from tests.parts.containerd import Containerd
from tests.parts.counting import Upstream
from tests.parts.images import Layout, random_layer
from tests.system.cluster import Cluster, cluster

NAMED = "registry.example"
USER, PASSWORD = "fleet", "a-password-that-must-not-leak"


@dataclass
class World:
    """The cache, what it caches, and where from."""

    cache: Cluster
    anonymous: Upstream
    guarded: Upstream
    elsewhere: Upstream
    images: dict[str, Digest]
    layout: Layout


@pytest.fixture
def world(tmp_path: Path, queue_url: str | None) -> Iterator[World]:
    layout = Layout(tmp_path / "images")
    images = {
        "open": layout.add_image("open", [random_layer(300_000, 21)]),
        "guarded": layout.add_image("guarded", [random_layer(300_000, 22)]),
    }
    with Upstream() as anonymous, Upstream() as guarded:
        layout.put_into(anonymous.content, "open", "library/app", as_tag="1")
        layout.put_into(guarded.content, "guarded", "org/app", as_tag="1")
        guarded.require_bearer(user=USER, password=PASSWORD)
        with Upstream(content=guarded.content) as elsewhere:
            guarded.blobs_at = elsewhere.url.replace("127.0.0.1", "localhost")
            named = {"name": NAMED, "remoteurl": guarded.url, "username": USER}
            hub = {"name": "docker.io", "remoteurl": anonymous.url}
            proxy = {"upstreams": [{**named, "password": PASSWORD}, hub]}
            with cluster(tmp_path / "cache", anonymous.url, queue_url, proxy=proxy) as cache:
                yield World(cache, anonymous, guarded, elsewhere, images, layout)


def credentials_seen(upstream: Upstream) -> list[str]:
    return [
        exchange.headers["authorization"]
        for exchange in upstream.seen()
        if "authorization" in exchange.headers
    ]


def test_containerd_pulls_from_both_by_ns(world: World, tmp_path: Path) -> None:
    with Containerd(tmp_path / "containerd") as containerd:
        containerd.mirror("docker.io", f"http://{world.cache.host}")
        containerd.mirror(NAMED, f"http://{world.cache.host}")
        guarded = containerd.pull(f"{NAMED}/org/app:1")
        anonymous = containerd.pull("docker.io/library/app:1")
    assert guarded.digest == world.images["guarded"]
    assert anonymous.digest == world.images["open"]


def test_podman_and_skopeo_pull_from_both_by_prefix(world: World, tmp_path: Path) -> None:
    podman = Podman(tmp_path / "podman")
    podman.mirror(NAMED, f"{world.cache.host}/{NAMED}")
    assert podman.pull(f"{NAMED}/org/app:1").digest == world.images["guarded"]
    podman.mirror("docker.io", world.cache.host)
    assert podman.pull("docker.io/library/app:1").digest == world.images["open"]
    copied = Skopeo().copy(f"{world.cache.host}/{NAMED}/org/app:1", tmp_path / "copied")
    assert copied.blobs == set(world.layout.blobs_of(world.images["guarded"]))


def test_credentials_go_to_their_upstream_and_nowhere_else(world: World, tmp_path: Path) -> None:
    Skopeo().copy(f"{world.cache.host}/{NAMED}/org/app:1", tmp_path / "guarded")
    Skopeo().copy(f"{world.cache.host}/library/app:1", tmp_path / "open")
    assert credentials_seen(world.guarded)
    assert world.elsewhere.seen("*/blobs/*")
    assert credentials_seen(world.elsewhere) == []
    assert credentials_seen(world.anonymous) == []
    assert PASSWORD not in world.cache.logs()


def test_a_name_has_one_upstream_and_never_another(world: World) -> None:
    cache = world.cache
    assert cache.get("/v2/org/app/manifests/1").status == 404
    assert world.guarded.seen("/v2/*") == []
    assert cache.get(f"/v2/library/app/manifests/1?ns={NAMED}").status == 404
    assert world.anonymous.seen("/v2/org/app/*")
    unknown = cache.get("/v2/library/app/manifests/1?ns=unknown.example")
    assert (unknown.status, b"NAME_UNKNOWN" in unknown.body) == (404, True)
    scoped = cache.get(f"/v2/org/app/manifests/1?ns={NAMED}")
    assert (scoped.status, scoped.headers["oci-namespace"]) == (200, NAMED)


def test_both_share_one_storage_folder_without_mixing(world: World, tmp_path: Path) -> None:
    Skopeo().copy(f"{world.cache.host}/{NAMED}/org/app:1", tmp_path / "guarded")
    repositories = Path(world.cache.layout.repositories)
    layer = world.layout.blobs_of(world.images["guarded"])[-1]
    world.cache.until_committed(layer)
    assert (repositories / NAMED / "org" / "app" / "_layers").is_dir()
    assert world.cache.blob("library/app", layer).status == 404
