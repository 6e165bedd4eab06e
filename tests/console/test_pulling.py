import pytest

from entrepot.console.pulling import commands
from tests.common.configuring import MINIMAL, config


@pytest.mark.parametrize(
    ("http", "visited", "docker"),
    [
        ("addr: ':5000'", "cache.example:5001", "cache.example:5000"),
        ("addr: ':5000'", "[::1]:5001", "[::1]:5000"),
        ("addr: ':5000'", "<script>", "localhost:5000"),
        ("addr: '10.1.2.3:80'", "cache.example:5001", "10.1.2.3:80"),
        ("addr: '[fd00::1]:80'", "x", "[fd00::1]:80"),
        ("host: 'https://mirror.example'", "x", "mirror.example"),
    ],
)
def test_commands_name_the_cache_as_clients_reach_it(http: str, visited: str, docker: str) -> None:
    found = commands(config(f"{MINIMAL}http: {{{http}}}\n"), visited, "library/app:1")
    assert found["docker"] == f"docker pull {docker}/library/app:1"


def test_where_there_is_encryption_nobody_is_told_to_do_without() -> None:
    encrypted = config(f"{MINIMAL}http: {{host: 'https://mirror.example'}}\n")
    plain = config(MINIMAL)
    assert "--tls-verify=false" not in commands(encrypted, "x", "a:1")["podman"]
    assert "--plain-http" not in commands(encrypted, "x", "a:1")["containerd"]
    assert "--tls-verify=false" in commands(plain, "x", "a:1")["podman"]
    assert "--plain-http" in commands(plain, "x", "a:1")["containerd"]


def test_where_no_client_could_name_an_image_there_are_no_commands() -> None:
    for http in ("net: unix, addr: /run/entrepot.sock", "prefix: /mirror/"):
        assert commands(config(f"{MINIMAL}http: {{{http}}}\n"), "x", "a:1") == {}
