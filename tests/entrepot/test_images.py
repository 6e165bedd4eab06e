"""How images are named, and where their names are found."""

import pytest
import yaml

from common.digest import Digest
from entrepot.warm.images import parse, parse_all
from entrepot.warm.lists import images_in

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("owner/app", "docker.io/owner/app:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/owner/app:1", "docker.io/owner/app:1"),
        ("ghcr.io/owner/app:1", "ghcr.io/owner/app:1"),
        ("quay.io/app", "quay.io/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("mirror.example:5000/a/b", "mirror.example:5000/a/b:latest"),
        (f"alpine@{DIGEST}", f"docker.io/library/alpine@{DIGEST}"),
        (f"ghcr.io/o/a:1@{DIGEST}", f"ghcr.io/o/a@{DIGEST}"),
    ],
)
def test_names_mean_what_docker_takes_them_for(written: str, meant: str) -> None:
    assert str(parse(written)) == meant


@pytest.mark.parametrize(
    "written", ["", "Alpine", "a:b:c", "alpine@sha256:0", "a//b", "ghcr.io/", "-a", "a:", "a b"]
)
def test_what_is_no_name_is_refused(written: str) -> None:
    assert parse_all([written]) == ([], [written])


def test_an_image_that_is_named_twice_is_one() -> None:
    images, wrong = parse_all(["alpine", "docker.io/library/alpine:latest", "b"])
    assert [image.repository for image in images] == ["library/alpine", "library/b"]
    assert wrong == []


def test_a_list_has_an_image_a_line_and_remarks() -> None:
    text = f"# ours\nalpine\n\n  ghcr.io/o/a:1   # why\nx@{DIGEST}\nlocalhost:5000/a:1\n"
    assert images_in(text) == ["alpine", "ghcr.io/o/a:1", f"x@{DIGEST}", "localhost:5000/a:1"]


def test_a_manifest_names_images_of_containers_of_every_kind_at_any_depth() -> None:
    text = """
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    metadata: {annotations: {image: "not:this"}}
    spec:
      initContainers: [{name: first, image: init:1}]
      containers:
        - {name: app, image: app:1}
        - {name: without}
---
kind: List
items:
  - kind: CronJob
    spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: job:1}]}}}}}
  - kind: Pod
    spec: {ephemeralContainers: [{image: debug:1}], containers: [{image: app:1}]}
---
"""
    assert images_in(text) == ["init:1", "app:1", "job:1", "debug:1", "app:1"]


def test_nothing_in_a_list_is_run() -> None:
    with pytest.raises(yaml.YAMLError):
        images_in("a: !!python/object/apply:os.system ['false']\n")
