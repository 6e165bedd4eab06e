"""The console's process: where it is started, where not, what it leaves alone."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from entrepot.address import Address
from entrepot.serve import child_specs
from tests.console.counter import configured
from tests.console.house import House, house
from tests.entrepot.sessions import members
from tests.parts.counting import Upstream
from tests.parts.process import Process
from tests.waiting import until

SOCKET = "REGISTRY_HTTP_DEBUG_CONSOLE_SOCKET"


def test_serve_starts_a_console_where_there_is_an_address_for_it(tmp_path: Path) -> None:
    config = configured(tmp_path)
    without = replace(config, http=replace(config.http, debug=replace(config.http.debug, addr="")))
    for settings, is_there in ((config, True), (without, False)):
        names = [spec.name for spec in child_specs(settings, None, Address("", 5000))]
        assert ("console" in names) == is_there


def test_the_console_and_frontends_alone_are_told_where_to_meet(tmp_path: Path) -> None:
    specs = child_specs(configured(tmp_path), None, Address("", 5000))
    quiet = {spec.name for spec in specs if spec.environment.get("REGISTRY_HTTP_DEBUG_ADDR") == ""}
    assert quiet == {"fetcher 1", "fetcher 2", "janitor"}
    assert {spec.environment[SOCKET] for spec in specs} == {"console"}


def test_without_the_console_its_address_has_the_probes_alone(tmp_path: Path) -> None:
    with Upstream() as upstream, Upstream() as other:
        built = House(tmp_path, upstream, other, console={"enabled": False})
        built.start(expected=404)
        assert "entrepot: console" not in members(built.pid).values()
        assert built.status("/debug/ready") == 200
        built.stop()


def test_numbers_are_shown_here_and_served_only_where_they_are_asked_for(tmp_path: Path) -> None:
    with house(tmp_path) as built:
        assert built.status("/metrics") == 404
        assert os.getpriority(os.PRIO_PROCESS, built.console()) == 10
        (folder,) = [
            path for path in Path("/dev/shm").glob("entrepot-metrics-*") if _is_of(path, built)
        ]
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def _is_of(folder: Path, built: House) -> bool:
    pids = {path.name.partition("-")[0] for path in folder.glob("*.lock")}
    return str(built.console()) in pids


@pytest.mark.parametrize("console", ["{}", "{console: {enabled: false}, addr: ':0'}"])
def test_a_console_without_a_place_says_so(tmp_path: Path, console: str) -> None:
    file = tmp_path / "config.yml"
    file.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}}}}}\n"
        f"proxy: {{remoteurl: 'https://registry.example'}}\nhttp: {{debug: {console}}}\n"
    )
    process = Process([".venv/bin/entrepot", "console", str(file)], log=tmp_path / "log")
    until(lambda: process.exit_code is not None, 20)
    assert process.exit_code == 2
    assert "http.debug.addr: expected an address for the console" in process.output()
