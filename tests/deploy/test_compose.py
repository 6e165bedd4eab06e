"""deploy/compose.yml as it reads; that it runs is shown by `make test-stack`."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.config import Document, load

FILE = Path("deploy/compose.yml")
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened_limited_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert not service["user"].startswith(("0", "root"))
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"cpus", "memory", "pids"} == service["deploy"]["resources"]["limits"].keys()


def test_services_start_when_what_they_need_is_healthy() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert needed in SERVICES
    assert set(SERVICES["balancer"]["depends_on"]) == {"frontend"}


def test_all_files_and_secrets_that_it_mounts_are_there(tmp_path: Path) -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (
                (FILE.parent / source).exists()
                if source[0] == "."
                else source in COMPOSE["volumes"]
            )
    (tmp_path / "make").write_bytes((FILE.parent / "secrets/make").read_bytes())
    subprocess.run(["sh", str(tmp_path / "make")], check=True)
    for secret in COMPOSE["secrets"].values():
        made = tmp_path / Path(secret["file"]).name
        assert made.stat().st_size > 20
        assert made.stat().st_mode & 0o777 == 0o444
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    subprocess.run(["sh", str(tmp_path / "make")], check=True)
    assert kept == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_only_fetchers_among_ours_have_a_way_out() -> None:
    assert COMPOSE["networks"]["inside"]["internal"]
    ours = {name for name, service in SERVICES.items() if service["image"] == "entrepot"}
    assert {name for name in ours if "outside" in SERVICES[name]["networks"]} == {"fetcher"}


def test_running_streams_may_end_before_a_service_does(tmp_path: Path) -> None:
    secret = tmp_path / "queue_url"
    secret.write_text("amqp://entrepot:secret@rabbitmq:5672/\n")
    text = (FILE.parent / "entrepot.yml").read_text()
    environ = {"REGISTRY_QUEUE_URLFILE": str(secret)}
    config = load(None, environ, Document("entrepot.yml", text)).config
    assert config.queue.url == "amqp://entrepot:secret@rabbitmq:5672/"
    assert config.http.draintimeout < int(SERVICES["frontend"]["stop_grace_period"].rstrip("s"))


def test_no_password_stands_in_a_file_of_the_repository() -> None:
    for path in (FILE, FILE.parent / "entrepot.yml", FILE.parent / "rabbitmq.conf"):
        assert "default_pass" not in path.read_text()
        assert "amqp://" not in path.read_text()
