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


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("REGISTRY_PROXY_PASSWORD", "hush", "passwordfile"),
        ("REGISTRY_PROXY_UPSTREAMS_0_PASSWORD", "hush", "passwordfile"),
        ("REGISTRY_QUEUE_URL", "amqp://me:hush@rabbit:5672/", "queue.urlfile"),
    ],
)
def test_secrets_in_the_environment_are_told_without_their_values(
    name: str, value: str, instead: str
) -> None:
    (told,) = advice(environ={name: value, "HOME": "/root"})
    assert told.startswith(f"{name}: ")
    assert told.endswith(f"use {instead}")
    assert "hush" not in told


def test_what_is_no_secret_in_use_is_not_taken_for_one() -> None:
    # Of http.secret and redis.password it is said that they are not used.
    names = ["REGISTRY_HTTP_SECRET", "REGISTRY_REDIS_PASSWORD", "REGISTRY_PROXY_PASSWORDFILE"]
    told = advice(environ={**dict.fromkeys(names, "x"), "REGISTRY_QUEUE_URL": "amqp://rabbit/"})
    assert told == []


def test_a_file_with_a_password_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    account = "remoteurl: 'https://a.example', username: me, password: p"
    quiet = LIMITED + "http: {addr: '127.0.0.1:5000'}\n"
    file = tmp_path / "config.yml"
    file.write_text(f"proxy: {{{account}}}\n")
    file.chmod(0o644)
    assert advice(account, quiet, path=str(file))[0].startswith(f"{file}: holds a password")
    file.chmod(0o640)
    assert advice(account, quiet, path=str(file)) == []


def test_a_file_is_not_told_of_for_a_password_that_is_not_in_it(tmp_path: Path) -> None:
    account = "remoteurl: 'https://a.example', username: me, password: p"
    file = tmp_path / "config.yml"
    file.write_text("proxy: {remoteurl: 'https://a.example', username: me, password: ''}\n")
    file.chmod(0o644)
    assert advice(account, LIMITED + "http: {addr: '127.0.0.1:5000'}\n", path=str(file)) == []


def test_more_workers_than_processors_are_told() -> None:
    text = f"{BASE}proxy: {{remoteurl: 'https://a.example'}}\n{LIMITED}"
    config = load(None, {}, Document("config.yml", text + "frontend: {workers: 3}\n")).config
    (told,) = hints(config, {}, cores=2)
    assert told.startswith("frontend.workers: 3 on 2 processors")
