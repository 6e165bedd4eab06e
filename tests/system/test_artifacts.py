"""A helm chart and a signed image come through with what refers to them, from two kinds of upstream.

One is Debian's docker-registry, which knows no referrers: clients that push there keep the list
under a tag. The other has the referrers API. Both are pulled from with skopeo.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.mediatypes import OCI_INDEX, OCI_MANIFEST
from tests.parts.clients import Skopeo
from tests.parts.counting import Upstream
from tests.parts.images import Layout, random_layer
from tests.parts.registry import Registry
from tests.system.cluster import Cluster, cluster

CHART = "application/vnd.cncf.helm.config.v1+json"
CHART_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
SIGNATURE = "application/vnd.example.signature.v1+json"
SBOM = "application/spdx+json"
REPOSITORY = "charts/app"


@dataclass
class World:
    """What was made, and the cache that it is pulled through from the upstream called `name`."""

    cache: Cluster
    layout: Layout
    referrers: list[Digest]
    name: str

    @property
    def repository(self) -> str:
        return f"{self.name}/{REPOSITORY}"

    def referring(self, subject: Digest, query: str = "") -> tuple[list[Any], dict[str, str]]:
        """The descriptors of what refers to `subject`, and the headers they came with."""
        got = self.cache.get(f"/v2/{self.repository}/referrers/{subject}{query}")
        assert (got.status, got.headers["content-type"]) == (200, OCI_INDEX), got.body
        return json.loads(got.body)["manifests"], got.headers


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("artifacts"))
    config = (CHART, json.dumps({"name": "app", "version": "1.2.3", "apiVersion": "v2"}).encode())
    chart = {CHART_CONTENT: random_layer(200_000, 31).blob}
    made.add_artifact("chart", CHART, chart, config=config)
    image = made.add_image("image", [random_layer(300_000, 32)])
    made.add_artifact("signature", SIGNATURE, {SIGNATURE: b'{"signed": true}'}, subject=image)
    made.add_artifact("sbom", SBOM, {SBOM: b'{"spdxVersion": "SPDX-2.3"}'}, subject=image)
    return made


@pytest.fixture(scope="module", params=["api", "tag-schema"])
def world(
    tmp_path_factory: pytest.TempPathFactory,
    layout: Layout,
    registry: Registry,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    image, referrers = layout.tagged("image"), [layout.tagged(tag) for tag in ("signature", "sbom")]
    with Upstream() as modern:
        modern.content.most_referrers = 10
        for tag in ("chart", "image", "signature", "sbom"):
            layout.put_into(modern.content, tag, REPOSITORY, as_tag=tag)
            layout.push(tag, registry.host, REPOSITORY)
        registry.put_manifest(REPOSITORY, *layout.referrers_index(image, referrers))
        upstreams = [
            {"name": "api", "remoteurl": modern.url},
            {"name": "tag-schema", "remoteurl": registry.url},
        ]
        folder = tmp_path_factory.mktemp("artifacts-cached")
        with cluster(folder, modern.url, proxy={"upstreams": upstreams}) as cache:
            yield World(cache, layout, referrers, request.param)


def test_a_helm_chart_comes_through_as_it_was_pushed(world: World, tmp_path: Path) -> None:
    chart = world.layout.tagged("chart")
    copied = Skopeo().copy(f"{world.cache.host}/{world.repository}:chart", tmp_path / "chart")
    assert copied.digest == chart
    assert copied.blobs == set(world.layout.blobs_of(chart))
    config, content = world.layout.blobs_of(chart)
    assert world.cache.blob(world.repository, config).body == world.layout.read(config)
    assert world.cache.blob(world.repository, content).body == world.layout.read(content)


def test_what_refers_to_an_image_is_listed_and_can_be_pulled(world: World, tmp_path: Path) -> None:
    image = world.layout.tagged("image")
    listed, _ = world.referring(image)
    assert [each["digest"] for each in listed] == world.referrers
    assert [each["artifactType"] for each in listed] == [SIGNATURE, SBOM]
    for number, each in enumerate(listed):
        assert each["mediaType"] == OCI_MANIFEST
        reference = f"{world.cache.host}/{world.repository}@{each['digest']}"
        copied = Skopeo().copy(reference, tmp_path / str(number))
        assert copied.digest == each["digest"]
        assert json.loads(world.layout.read(copied.digest))["subject"]["digest"] == image


def test_one_kind_of_referrer_can_be_asked_for(world: World) -> None:
    image = world.layout.tagged("image")
    listed, headers = world.referring(image, f"?artifactType={SBOM.replace('+', '%2B')}")
    assert [each["digest"] for each in listed] == world.referrers[1:]
    assert headers["oci-filters-applied"] == "artifactType"


def test_nothing_refers_to_the_chart(world: World) -> None:
    assert world.referring(world.layout.tagged("chart"))[0] == []


def test_with_the_upstream_gone_it_all_goes_on(tmp_path: Path, layout: Layout) -> None:
    subject = layout.tagged("image")
    with Upstream() as upstream:
        upstream.content.most_referrers = 1
        for tag in ("image", "signature", "sbom"):
            layout.put_into(upstream.content, tag, REPOSITORY, as_tag=tag)
        proxy = {"tagttl": "0s"}
        with cluster(tmp_path / "cache", upstream.url, proxy=proxy) as cache:
            reference = f"{cache.host}/{REPOSITORY}"
            Skopeo().copy(f"{reference}:image", tmp_path / "before")
            Skopeo().copy(f"{reference}:sbom", tmp_path / "sbom")
            before = cache.get(f"/v2/{REPOSITORY}/referrers/{subject}")
            tags = cache.get(f"/v2/{REPOSITORY}/tags/list")
            upstream.stop()
            after = cache.get(f"/v2/{REPOSITORY}/referrers/{subject}")
            assert len(json.loads(before.body)["manifests"]) == 2
            assert (after.status, after.body) == (200, before.body)
            assert "warning" in after.headers
            again = cache.get(f"/v2/{REPOSITORY}/tags/list")
            assert (again.status, again.body) == (200, tags.body)
            catalog = json.loads(cache.get("/v2/_catalog").body)
            assert catalog == {"repositories": [REPOSITORY]}
            assert Skopeo().copy(f"{reference}:image", tmp_path / "after").digest == subject
            assert Skopeo().copy(f"{reference}:sbom", tmp_path / "sbom-after").blobs
