"""What Grafana is given: nobody here has it, so the files are held against one another."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

FOLDER = Path("deploy/grafana")
BOARDS = {
    path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").iterdir())
}
COMPOSE: Any = yaml.safe_load(Path("deploy/compose.yml").read_text())


def provisioned(kind: str) -> list[Any]:
    """What all files of a kind provision; Grafana reads each of them."""
    found: list[Any] = []
    for path in (FOLDER / "provisioning" / kind).iterdir():
        document = yaml.safe_load(path.read_text())
        assert document["apiVersion"] == 1
        found += document["providers" if kind == "dashboards" else kind]
    return found


def mounts(service: str) -> dict[str, str]:
    """Folders of deploy/ by where the service sees them."""
    pairs = (each.split(":")[:2] for each in COMPOSE["services"][service]["volumes"])
    return {inside: outside for outside, inside in pairs}


def sources(thing: Any) -> set[str]:
    """The uid of every datasource that is named anywhere in it."""
    if isinstance(thing, list):
        return set().union(*(sources(each) for each in thing))
    if not isinstance(thing, dict):
        return set()
    own = {thing["datasource"]["uid"]} if "datasource" in thing else set()
    return own.union(*(sources(each) for each in thing.values()))


def test_the_datasource_is_the_stacks_prometheus() -> None:
    (source,) = provisioned("datasources")
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    host = source["url"].removeprefix("http://").partition(":")[0]
    assert host in COMPOSE["services"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_asks_a_datasource_that_is_provisioned(name: str) -> None:
    (source,) = provisioned("datasources")
    assert sources(BOARDS[name]) == {source["uid"]}
    assert all(panel["datasource"]["uid"] == source["uid"] for panel in BOARDS[name]["panels"])


def test_boards_and_their_panels_can_be_told_apart() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == 4
    for board in BOARDS.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids) > 0


def test_boards_are_looked_for_where_they_are_mounted() -> None:
    (provider,) = provisioned("dashboards")
    assert provider["type"] == "file"
    path = PurePosixPath(provider["options"]["path"])
    assert mounts("grafana")[str(path)] == "./grafana/dashboards"
    assert mounts("grafana")["/etc/grafana/provisioning"] == "./grafana/provisioning"
