"""`entrepot warm` where the cache asks for an account, and where it is encrypted."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.fetcher.certificates import certificate
from tests.parts.counting import Upstream
from tests.parts.images import Layout, random_layer
from tests.parts.process import Process, free_port
from tests.waiting import until

PROGRAM = ".venv/bin/entrepot"
PASSWORD = "hush hush"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("image"))
    made.add_image("one", [random_layer(20_000, seed=1)])
    return made


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


def warm(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [PROGRAM, "warm", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=100)


def test_a_token_is_asked_for_where_the_cache_wants_one(
    upstream: Upstream, layout: Layout, password: Path
) -> None:
    layout.put_into(upstream.content, "one", "library/app", as_tag="1")
    upstream.require_bearer(user="me", password=PASSWORD)
    account = ("--username", "me", "--password-file", str(password))
    done = warm("--server", upstream.url, *account, "app:1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cached" in done.stdout


def test_a_wrong_password_is_told_and_not_shown(
    upstream: Upstream, layout: Layout, password: Path
) -> None:
    layout.put_into(upstream.content, "one", "library/app", as_tag="1")
    upstream.require_bearer(user="me", password="another")
    account = ("--username", "me", "--password-file", str(password))
    done = warm("--server", upstream.url, *account, "app:1")
    assert done.returncode == 1
    assert "no token from" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout


@pytest.fixture(scope="module")
def guarded(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a cache that runs, encrypted, for one account alone."""
    folder = tmp_path_factory.mktemp("guarded")
    # Of a name that nobody here asks for.
    shown, _ = certificate(folder, "subjectAltName=DNS:mirror.example")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"me:{hashed}\n")
    config = folder / "config.yml"
    with Upstream() as upstream:
        layout.put_into(upstream.content, "one", "library/app", as_tag="1")
        config.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'root'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{free_port()}',"
            f" tls: {{certificate: {shown}, key: {folder / 'key.pem'}}}}}\n"
            f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}\n"
            f"proxy: {{remoteurl: '{upstream.url}', namespaces: [docker.io]}}\n"
            "frontend: {workers: 1}\nfetcher: {processes: 1}\n"
        )
        argv = [sys.executable, "-P", "-m", "entrepot", "serve", str(config)]
        process = Process(argv, log=folder / "log")
        until(lambda: "entrepot serves" in process.output(), 40, "entrepot to serve")
        yield config
        assert process.terminate(30) == 0


def test_the_caches_own_certificate_and_an_account_are_enough(
    guarded: Path, password: Path
) -> None:
    account = ("--username", "me", "--password-file", str(password))
    done = warm("--config", str(guarded), *account, "app:1")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_an_account_it_says_what_is_missing(guarded: Path) -> None:
    done = warm("--config", str(guarded), "app:1")
    assert done.returncode == 1
    assert "--username and --password-file" in done.stderr


def test_a_server_whose_certificate_nobody_vouches_for_is_not_believed(
    guarded: Path, password: Path
) -> None:
    address = guarded.read_text().partition("addr: '")[2].partition("'")[0]
    account = ("--username", "me", "--password-file", str(password))
    done = warm("--server", f"https://{address}", *account, "app:1")
    assert done.returncode == 1
    assert "certificate verify failed" in done.stderr
