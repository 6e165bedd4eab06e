"""What might be better in a configuration that is right: advice, which may be left."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from common.config import Config, Upstream
from common.config.tree import parse_file, scalars

# Variables whose value may be a secret, by what may hold it instead.
_SECRETS = {
    "passwordfile": re.compile(r"REGISTRY_PROXY_(UPSTREAMS_\d+_)?PASSWORD=."),
    "queue.urlfile": re.compile(r"REGISTRY_QUEUE_URL=[^?#]*@"),
}
_EVERYBODY = 0o004


def hints(
    config: Config, environ: Mapping[str, str], *, cores: int, path: str | None = None
) -> Iterator[str]:
    """Advice for a machine of so many `cores`; `path` is the configuration file's, if it is one."""
    yield from _room(config)
    for upstream in config.proxy.upstreams.values():
        yield from _upstream(upstream)
    yield from _access(config)
    yield from _secrets(environ, path)
    if config.frontend.workers > cores:
        yield (
            f"frontend.workers: {config.frontend.workers} on {cores} processors: each works on its"
            " own, and more of them than processors take turns"
        )


def _room(config: Config) -> Iterator[str]:
    if config.janitor.is_limited:
        return
    eternal = any(upstream.ttl is None for upstream in config.proxy.upstreams.values())
    yield (
        "janitor.maxsize, janitor.minfree: neither is set,"
        + (" and a ttl of 0 keeps content for ever:" if eternal else "")
        + " the cache may grow until the disk is full; minfree: 10GB leaves room"
    )


def _upstream(upstream: Upstream) -> Iterator[str]:
    key = f"proxy, {upstream.name or 'the default upstream'}"
    if not upstream.tagttl:
        yield f"{key}: tagttl: 0 asks the upstream at every pull; 60s spares it most of them"
    url = urlsplit(upstream.remoteurl)
    if url.scheme == "http" and not _is_here(url.hostname or ""):
        yield f"{key}: {upstream.remoteurl} is not encrypted: whoever is between can choose tags"
    if upstream.insecure:
        yield f"{key}: insecure: true takes anybody for the upstream; cafile names who may sign"


def _access(config: Config) -> Iterator[str]:
    is_open = type(config.auth)() == config.auth
    accounts = [
        upstream.name or "the default upstream"
        for upstream in config.proxy.upstreams.values()
        if upstream.username or upstream.usernamefile or upstream.exec.command
    ]
    host = "" if config.http.net == "unix" else config.http.listen[0]
    if is_open and accounts and config.http.net != "unix" and not _is_here(host):
        yield (
            f"auth: there is none, so whoever reaches {config.http.addr} may pull what the"
            f" account at {', '.join(accounts)} may"
        )


def _secrets(environ: Mapping[str, str], path: str | None) -> Iterator[str]:
    for name, value in environ.items():
        for instead, secret in _SECRETS.items():
            if secret.match(f"{name}={value}"):
                yield f"{name}: a secret in the environment is shown by many tools; use {instead}"
    if path and os.path.exists(path) and os.stat(path).st_mode & _EVERYBODY and _has_password(path):
        yield f"{path}: holds a password and can be read by everybody; chmod o-r, or passwordfile"


def _has_password(path: str) -> bool:
    """Whether the file itself does: what is used may come from the environment."""
    with open(path, encoding="utf-8") as file:
        tree = parse_file(file.read(), path)
    return any(
        key[0] == "proxy" and key[-1] == "password" and not value.is_empty
        for key, value in scalars(tree)
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
