"""Where an account comes from, as upstreams get to see it."""

import os
from base64 import b64decode
from pathlib import Path

import pytest

from fetcher.credentials import credentials_of
from fetcher.settings import UpstreamSettings
from tests.fetcher.client import failure, fetched, upstream
from tests.fetcher.recording import Reply, Seen, serving
from tests.fetcher.test_helper import Program

BLOB_REPLY = Reply(body=bytes(range(256)) * 4096)


def account(seen: Seen) -> str | None:
    sent = seen.headers.get("authorization", "")
    return b64decode(sent.removeprefix("Basic ")).decode() if sent.startswith("Basic ") else None


class Gate:
    """A registry, or a token server, that lets one account in."""

    def __init__(self, right: str) -> None:
        self.right = right

    def __call__(self, seen: Seen) -> Reply:
        if account(seen) == self.right:
            return BLOB_REPLY
        return Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})


def replace(path: Path, text: str) -> None:
    """As secrets are exchanged: a new file in the old one's place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.rename(fresh, path)


def test_an_account_is_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("mary\n")
    (tmp_path / "password").write_text(" pass word \r\n")
    files = {"usernamefile": str(tmp_path / "user"), "passwordfile": str(tmp_path / "password")}
    with serving(Gate("mary: pass word ")) as server, upstream(server.url, **files) as client:
        assert fetched(client)


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    gate = Gate("mary:old")
    with (
        serving(gate) as server,
        upstream(server.url, username="mary", passwordfile=str(path)) as client,
    ):
        assert fetched(client)
        gate.right = "mary:new"
        assert failure(client).status == 403
        replace(path, "new")
        assert fetched(client)


def test_a_file_that_is_gone_leaves_what_it_said(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    credentials = credentials_of(
        UpstreamSettings(name="", remoteurl="http://a", username="m", passwordfile=str(path))
    )
    before = credentials.basic("a")
    path.unlink()
    assert credentials.basic("a") == before
    path.write_bytes(b"\xff")
    assert credentials.basic("a") == before
    path.write_text("new")
    assert credentials.basic("a") != before


def test_a_file_that_is_not_there_at_the_start_is_an_error(tmp_path: Path) -> None:
    settings = UpstreamSettings(
        name="", remoteurl="http://a", username="m", passwordfile=str(tmp_path / "none")
    )
    with pytest.raises(FileNotFoundError):
        credentials_of(settings)


def test_a_helper_is_told_the_registrys_host_for_basic(tmp_path: Path) -> None:
    program = Program(tmp_path)
    settings = {"helper": str(program.path), "username": "other", "password": "other"}
    with serving(Gate("mary:s3cret")) as server, upstream(server.url, **settings) as client:
        assert fetched(client)
        assert fetched(client)
        assert program.asked == [f"get 127.0.0.1:{server.port}"]
        assert "other" not in str([account(seen) for seen in server.seen])


def test_a_helper_is_told_the_token_servers_host_for_bearer(tmp_path: Path) -> None:
    program = Program(tmp_path)

    def issue(seen: Seen) -> Reply:
        right = account(seen) == "mary:s3cret"
        return Reply(body=b'{"token": "t"}') if right else Reply(401)

    def registry(seen: Seen) -> Reply:
        if seen.headers.get("authorization") == "Bearer t":
            return BLOB_REPLY
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{issuer.url}/token"'})

    with serving(issue) as issuer, serving(registry) as server:
        realm = f"127.0.0.1:{issuer.port}"
        settings = {"helper": str(program.path), "realmhosts": (realm,)}
        with upstream(server.url, **settings) as client:
            assert fetched(client)
        assert program.asked == [f"get {realm}"]
        assert "mary" not in str([seen.headers for seen in server.seen])


def test_without_an_account_from_the_helper_it_goes_on_anonymously(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.does("sys.exit(1)")
    with serving(lambda _: BLOB_REPLY) as server:
        with upstream(server.url, helper=str(program.path)) as client:
            assert fetched(client)
        assert program.asked == []  # nobody asked who we are
        server.answer = Gate("mary:s3cret")
        with upstream(server.url, helper=str(program.path)) as client:
            assert failure(client).status == 403
        assert len(program.asked) == 1
