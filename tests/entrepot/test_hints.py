"""Advice of `entrepot check`."""

from pathlib import Path

import pytest

from common.config import Document, load
from entrepot.hints import hints

LIMITED = "janitor: {minfree: 10GB}\n"
BASE = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/cache}}\n"


def advice(
    proxy: str = "remoteurl: 'https://registry.example'",
    more: str = LIMITED,
    environ: dict[str, str] | None = None,
    path: str | None = None,
) -> list[str]:
    text = f"{BASE}proxy: {{{proxy}}}\nfrontend: {{workers: 2}}\n{more}"
    config = load(None, {}, Document("config.yml", text)).config
    return list(hints(config, environ or {}, cores=2, path=path))


def test_a_careful_configuration_gets_none() -> None:
    assert advice() == []


@pytest.mark.parametrize(
    ("proxy", "more", "begins"),
    [
        ("remoteurl: 'https://a.example'", "", "janitor.maxsize, janitor.minfree: "),
        (
            "remoteurl: 'https://a.example', tagttl: 0s",
            LIMITED,
            "proxy, the default upstream: tagttl",
        ),
        ("remoteurl: 'http://a.example'", LIMITED, "proxy, the default upstream: http://a.example"),
        (
            "remoteurl: 'https://a.example', insecure: true",
            LIMITED,
            "proxy, the default upstream: in",
        ),
        (
            "remoteurl: 'https://a.example', username: me, password: p",
            LIMITED,
            "auth: there is none",
        ),
    ],
)
def test_what_might_be_better_is_told(proxy: str, more: str, begins: str) -> None:
    (told,) = advice(proxy, more)
    assert told.startswith(begins)


def test_an_upstream_on_this_machine_needs_no_encryption() -> None:
    assert advice("remoteurl: 'http://127.0.0.1:5001'") == []
    assert advice("remoteurl: 'http://localhost:5001'") == []


def test_content_that_is_kept_for_ever_without_a_limit_is_told() -> None:
    (told,) = advice("remoteurl: 'https://a.example', ttl: 0s", "")
    assert "for ever" in told


def test_an_account_that_only_this_machine_can_use_needs_no_auth() -> None:
    account = "remoteurl: 'https://a.example', username: me, password: p"
    assert advice(account, LIMITED + "http: {addr: '127.0.0.1:5000'}\n") == []


def test_secrets_in_the_environment_are_told_without_their_values() -> None:
    told = advice(environ={"REGISTRY_PROXY_PASSWORD": "hush", "HOME": "/root"})
    assert len(told) == 1
    assert told[0].startswith("REGISTRY_PROXY_PASSWORD: ")
    assert "hush" not in told[0]


def test_a_file_with_a_password_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text("")
    account = "remoteurl: 'https://a.example', username: me, password: p"
    quiet = LIMITED + "http: {addr: '127.0.0.1:5000'}\n"
    file.chmod(0o644)
    assert advice(account, quiet, path=str(file))[0].startswith(f"{file}: holds a password")
    file.chmod(0o640)
    assert advice(account, quiet, path=str(file)) == []


def test_more_workers_than_processors_are_told() -> None:
    text = f"{BASE}proxy: {{remoteurl: 'https://a.example'}}\n{LIMITED}"
    config = load(None, {}, Document("config.yml", text + "frontend: {workers: 3}\n")).config
    (told,) = hints(config, {}, cores=2)
    assert told.startswith("frontend.workers: 3 on 2 processors")
