"""What a frontend lets be asked of an upstream, and under which names."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.messages import FetchManifest, ResolveTag
from tests.frontend.stage import Answer, Stage, stage

MANIFEST = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
PROXY = {
    "remoteurl": "https://registry-1.docker.io",
    "deny": ["org/**"],
    "upstreams": [
        {"name": "ghcr.io", "remoteurl": "https://ghcr.io", "allow": ["team/*"], "tagttl": "60s"}
    ],
}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root: Path = tmp_path_factory.mktemp("front") / "root"
    with stage(root, proxy=PROXY) as opened:
        opened.play_fetcher()
        yield opened


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["errors"][0]["code"]


@pytest.mark.parametrize(
    "path", ["org/app", "docker.io/org/app", "org/team/app", "ghcr.io/other/app"]
)
def test_what_is_not_allowed_is_403_though_it_is_here(front: Stage, path: str) -> None:
    digest = front.store_manifest(path.removeprefix("docker.io/"), MANIFEST, "1")
    blob = front.store_blob(path.removeprefix("docker.io/"), b"layer")
    for rest in ("manifests/1", f"manifests/{digest}", f"blobs/{blob}", "tags/list"):
        assert code(front.ask(f"/v2/{path}/{rest}")) == (403, "DENIED")
        assert front.ask(f"/v2/{path}/{rest}", "HEAD").status == 403
    assert front.jobs.empty()


def test_what_is_allowed_is_served(front: Stage) -> None:
    front.store_manifest("ghcr.io/team/app", MANIFEST, "1")
    assert front.ask("/v2/ghcr.io/team/app/manifests/1").body == MANIFEST
    assert front.ask("/v2/team/app/manifests/1?ns=ghcr.io").body == MANIFEST


@pytest.mark.parametrize(
    "path", ["alpine", "library/alpine", "docker.io/alpine", "docker.io/library/alpine"]
)
def test_an_official_image_is_one_by_all_its_names(front: Stage, path: str) -> None:
    front.store_manifest("library/alpine", MANIFEST, "1")
    assert front.ask(f"/v2/{path}/manifests/1").body == MANIFEST
    scoped = front.ask(f"/v2/{path}/manifests/1?ns=docker.io")
    assert scoped.body == MANIFEST
    assert scoped.headers["oci-namespace"] == "docker.io"


def test_an_upstream_is_asked_by_its_own_name_for_it(front: Stage) -> None:
    front.ask("/v2/docker.io/busybox/manifests/1", headers={"Host": "mirror"})
    job = front.next_job()
    assert isinstance(job, ResolveTag | FetchManifest)
    assert (job.source.upstream, job.source.repository) == ("", "library/busybox")
