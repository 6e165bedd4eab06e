"""`entrepot check`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.config import Document, load
from entrepot.advice import advise
from entrepot.check import check
from entrepot.defaults import packaged
from tests.common.configuring import MINIMAL

NOBODY = 65_534
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:44 / /srv rw,relatime shared:2 - xfs /dev/sdb rw
41 40 0:45 / /srv/shared\\040folder rw,relatime - nfs4 filer:/export rw,vers=4.2
42 40 0:46 / /srv/twice rw - ext4 /dev/sdc rw
43 40 0:47 / /srv/twice rw - fuse.sshfs host:/x rw
"""


def _advice(root: Path | str, more: str = "", mounts: str = "") -> list[str]:
    text = MINIMAL.replace("/srv/cache", str(root)) + more
    return list(advise(load(None, {}, Document("config.yml", text)).config, mounts))


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Not root for a while, for whom every folder is writable."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_the_packaged_default_can_be_used_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(None, {"HOME": str(tmp_path)}) == 0
    printed = capsys.readouterr()
    assert [line.split(":")[:2] for line in printed.err.splitlines()] == [
        ["advice", " janitor.maxsize, janitor.minfree"]
    ]
    assert f"rootdirectory: {tmp_path}/.local/share/entrepot\n" in printed.out
    names = {"ghcr.io", "quay.io", "registry.k8s.io", "gcr.io", "mcr.microsoft.com"}
    loaded = load(None, {"HOME": str(tmp_path)}, packaged())
    assert set(loaded.config.proxy.upstreams) == {"", "public.ecr.aws", *names}
    assert loaded.warnings == ()


def test_every_problem_is_printed_and_the_status_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yml"
    file.write_text(MINIMAL + "htpp: {}\nlog: {level: loud}\n")
    assert check(str(file), {}) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        f"{file}:7: htpp: unknown key; did you mean http?",
        f"{file}:8: log.level: expected one of error, warn, info, debug",
    ]


def test_warnings_go_to_standard_error_and_the_rest_can_be_loaded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yml"
    file.write_text(MINIMAL.replace("/srv/cache", str(tmp_path)) + "redis: {addr: a}\n")
    environ = {
        "REGISTRY_CONFIGURATION_PATH": str(file),
        "REGISTRY_PROXY_USERNAME": "me",
        "REGISTRY_PROXY_PASSWORD": "hush-hush",
    }
    assert check(None, environ) == 0
    printed = capsys.readouterr()
    warnings = [line for line in printed.err.splitlines() if line.startswith("warning: ")]
    assert warnings == [f"warning: {file}:7: redis: not used: nothing is kept in it"]
    assert "advice: REGISTRY_PROXY_PASSWORD: " in printed.err
    assert "hush" not in printed.err
    assert "hush" not in printed.out
    again = load(None, {}, Document("printed", printed.out)).config
    assert again.proxy.upstreams[""].username == "me"


def test_a_fine_configuration_gets_no_advice(tmp_path: Path) -> None:
    assert _advice(tmp_path / "not" / "yet" / "there", mounts=MOUNTS) == []


def test_a_file_in_the_place_of_the_root_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    advice = _advice(tmp_path / "file" / "cache", "queue: {url: 'amqp://rabbit'}\n")
    assert advice == [f"storage.filesystem.rootdirectory: {tmp_path}/file is not a folder"]


def test_a_root_folder_that_cannot_be_written_is_noticed() -> None:
    with _unprivileged():
        advice = _advice("/usr/entrepot", "queue: {url: 'amqp://rabbit'}\n")
        user = os.geteuid()
    expected = f"storage.filesystem.rootdirectory: /usr cannot be written by user {user}"
    assert advice == [expected]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/shared folder", "nfs4"),
        ("/srv/twice", "fuse.sshfs"),
        ("/srv/shared", None),
        ("/", None),
    ],
)
def test_an_embedded_queue_on_a_shared_file_system_is_noticed(
    folder: str, kind: str | None
) -> None:
    advice = _advice(f"{folder}/cache", mounts=MOUNTS)
    noticed = [line for line in advice if "local file system" in line]
    assert len(noticed) == (kind is not None)
    assert all(f" is on {kind};" in line for line in noticed)
    elsewhere = _advice(f"{folder}/cache", "queue: {url: 'amqp://rabbit'}\n", MOUNTS)
    assert not [line for line in elsewhere if "local file system" in line]


def test_a_drain_time_of_zero_is_noticed(tmp_path: Path) -> None:
    assert "cuts every running pull" in _advice(tmp_path, "http: {draintimeout: 0s}\n")[0]


def test_a_missing_file_of_authorities_is_noticed(tmp_path: Path) -> None:
    advice = _advice(tmp_path, f"  cafile: {tmp_path}/none.pem\n")
    assert advice == [
        f"proxy: https://registry-1.docker.io: cafile {tmp_path}/none.pem cannot be read"
    ]


def test_a_missing_file_of_accounts_for_the_console_is_noticed(tmp_path: Path) -> None:
    debug = f"{{addr: 'localhost:5001', console: {{htpasswd: {tmp_path}/none}}}}"
    (advice,) = _advice(tmp_path, f"http: {{debug: {debug}}}\n")
    assert advice.startswith(f"http.debug.console.htpasswd: {tmp_path}/none cannot be read")


def test_a_socket_in_a_missing_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    socket = f"http: {{net: unix, addr: {tmp_path}/file/socket}}\n"
    assert _advice(tmp_path, socket) == [f"http.addr: {tmp_path}/file is not a folder"]
