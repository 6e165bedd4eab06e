"""deploy/kubernetes: valid by Kubernetes's own schemas, and as hardened as it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from common.config import Document, load

FOLDER = Path("deploy/kubernetes")
# Ours, and its own tool's, which the validator has no schema of.
OTHERS = {"kustomization.yml", "configuration.yml"}


def documents() -> Iterator[Any]:
    for path in sorted(FOLDER.rglob("*.yml")):
        if path.name not in OTHERS:
            yield from yaml.safe_load_all(path.read_text())


def of(kind: str) -> list[Any]:
    return [each for each in documents() if each["kind"] == kind]


BUILTIN = [each for each in documents() if not each["apiVersion"].startswith("keda.sh/")]


@pytest.mark.parametrize(
    "each", BUILTIN, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_kubernetes_takes_it(each: Any) -> None:
    kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


KUSTOMIZATIONS = {
    file.parent: yaml.safe_load(file.read_text()) for file in FOLDER.rglob("kustomization.yml")
}


def test_kustomizations_name_every_file_once_and_no_other() -> None:
    named = [folder / name for folder, said in KUSTOMIZATIONS.items() for name in said["resources"]]
    for folder, said in KUSTOMIZATIONS.items():
        for generator in said.get("configMapGenerator", []):
            named += [folder / each.partition("=")[2] for each in generator["files"]]
    assert sorted(named) == sorted(
        path for path in FOLDER.rglob("*.yml") if path.name != "kustomization.yml"
    )


def test_kustomizations_are_of_their_kinds_and_fit_what_they_change() -> None:
    base, autoscaling = KUSTOMIZATIONS[FOLDER], KUSTOMIZATIONS[FOLDER / "autoscaling"]
    assert (base["apiVersion"], base["kind"]) == (
        "kustomize.config.k8s.io/v1beta1",
        "Kustomization",
    )
    assert (autoscaling["apiVersion"], autoscaling["kind"]) == (
        "kustomize.config.k8s.io/v1alpha1",
        "Component",
    )
    pods = [each["spec"]["template"]["spec"] for each in of("Deployment")]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    assert {image.partition(":")[0] for image in images} == {
        each["name"] for each in base["images"]
    }
    mounted = {
        volume["configMap"]["name"]
        for pod in pods
        for volume in pod["volumes"]
        if "configMap" in volume
    }
    assert mounted == {each["name"] for each in base["configMapGenerator"]}


def test_what_scales_fetchers_has_all_that_keda_asks_for() -> None:
    (scaled,) = of("ScaledObject")
    spec = scaled["spec"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    # The names of keda.sh's own schema; an unknown one would be dropped without a word.
    assert set(spec) == {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "triggers",
    }
    assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    assert trigger["type"] == "prometheus"
    assert set(trigger["metadata"]) == {"serverAddress", "query", "threshold"}
    # KEDA takes text alone.
    assert float(str.strip(trigger["metadata"]["threshold"])) > 0


@pytest.mark.parametrize(
    "deployment", of("Deployment"), ids=lambda each: str(each["metadata"]["name"])
)
def test_a_pod_has_no_rights_and_is_probed(deployment: Any) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= container["resources"].keys()
        assert container["livenessProbe"]["httpGet"]["path"] == "/debug/live"
        assert container["readinessProbe"]["httpGet"]["path"] == "/debug/ready"


def test_only_fetchers_reach_the_internet() -> None:
    open_to_the_world = [
        policy["spec"]["podSelector"]["matchLabels"]
        for policy in of("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule.get("to", [{"ipBlock": {}}])
        if "ipBlock" in peer
    ]
    assert open_to_the_world == [{"app.kubernetes.io/component": "fetcher"}]
    denied = next(each for each in of("NetworkPolicy") if each["spec"]["podSelector"] == {})
    assert sorted(denied["spec"]["policyTypes"]) == ["Egress", "Ingress"]
    assert "egress" not in denied["spec"]


def test_pods_end_in_their_own_time() -> None:
    drain = _configuration().http.draintimeout
    for deployment in of("Deployment"):
        grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        # A janitor has nothing to drain.
        assert deployment["metadata"]["name"] == "janitor" or grace > drain + 5


def test_what_is_scaled_and_protected_is_there() -> None:
    names = {each["metadata"]["name"] for each in of("Deployment")}
    targets = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in [*of("HorizontalPodAutoscaler"), *of("ScaledObject")]
    }
    assert targets == {"frontend", "fetcher"} < names
    # An autoscaler and a number in the file would undo each other.
    assert all(
        "replicas" not in each["spec"]
        for each in of("Deployment")
        if each["metadata"]["name"] in targets
    )
    (claim,) = of("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_configuration_is_one() -> None:
    assert not _configuration().queue.is_embedded


def _configuration() -> Any:
    # The secret is not there yet when the file is looked at.
    environ = {"REGISTRY_QUEUE_URLFILE": "", "REGISTRY_QUEUE_URL": "amqp://a:b@c:5672/"}
    text = (FOLDER / "configuration.yml").read_text()
    return load(None, environ, Document("configuration.yml", text)).config
