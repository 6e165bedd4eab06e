"""What the security tests are played with: secrets to look for, and servers that must stay unasked."""

import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fetcher.recording import Reply, Seen, Server, serving

USER, PASSWORD = "canary-user", "canary-pässword-7f3a"
BASIC = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
ACCOUNT = {"username": USER, "password": PASSWORD}


def greedy(_seen: Seen) -> Reply:
    """Whatever is sent is welcome, and answered so that more would follow."""
    return Reply(body=b'{"token": "stolen", "access_token": "stolen"}')


@contextmanager
def attacker() -> Iterator[Server]:
    """A server nobody has configured."""
    with serving(greedy) as server:
        yield server


def wants_basic(seen: Seen) -> Reply | None:
    """The refusal of a registry that wants an account; None when it was shown one."""
    if seen.headers.get("authorization"):
        return None
    return Reply(401, headers={"WWW-Authenticate": 'Basic realm="registry"'})


def bearer(realm: str) -> Reply:
    """A challenge that sends us to `realm`."""
    return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="registry"'})


def secrets_sent_to(server: Server) -> list[str]:
    """Every header value in which one of the secrets stands."""
    return [
        value
        for seen in server.seen
        for value in seen.headers.values()
        if any(secret in value for secret in (USER, PASSWORD, BASIC.split()[1]))
    ]


def files_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files of a folder with mode and content. What goes while we look is left out."""
    found = {}
    for parent, _folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file():
                    content = path.lstat().st_mode, path.read_bytes()
                    found[str(path.relative_to(folder))] = content
    return found
