"""Where a frontend listens, and how it speaks of where that is."""

import asyncio
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from common.reference import RepositoryName, Tag
from frontend.listening import listen_more
from tests.frontend.stage import stage
from tests.parts.process import Process
from tests.waiting import until


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for a socket, whose path may have 107 bytes: the folders of tests have long names."""
    folder = Path(tempfile.mkdtemp(prefix="sock-"))
    yield folder
    shutil.rmtree(folder)


def _ask(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return connection.recv(65536)
        except OSError:
            return b""


def test_a_unix_socket_is_served(tmp_path: Path, short: Path) -> None:
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "root")}},
        "http": {"net": "unix", "addr": str(short / "socket")},
        "proxy": {"remoteurl": "http://127.0.0.1:1"},
        "auth": {"silly": {"realm": "r", "service": "s"}},
        "frontend": {"workers": 1},
    }
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump(config))
    argv = [sys.executable, "-m", "entrepot", "frontend", str(file)]
    process = Process(argv, log=tmp_path / "log")
    try:
        answer = until(lambda: _ask(short / "socket"), 20, "an answer over the socket")
        assert answer.startswith(b"HTTP/1.1 401")
    finally:
        assert process.terminate() == 0


@pytest.mark.parametrize(
    ("http", "begins"),
    [
        ({}, "</v2/"),
        ({"host": "https://mirror.example:8443"}, "<https://mirror.example:8443/v2/"),
        ({"host": "https://mirror.example", "relativeurls": True}, "</v2/"),
        (
            {"host": "https://mirror.example", "prefix": "/deep/"},
            "<https://mirror.example/deep/v2/",
        ),
    ],
)
def test_links_begin_with_the_configured_address(
    tmp_path: Path, http: dict[str, Any], begins: str
) -> None:
    with stage(tmp_path / "root", http=http) as front:
        name = RepositoryName("library/app")
        front.tag_lists.write(name, [Tag("a"), Tag("b"), Tag("c")])
        path = f"{http.get('prefix', '/')}v2/library/app/tags/list"
        link = front.ask(f"{path}?n=2").headers["link"]
        assert link == f'{begins}library/app/tags/list?n=2&last=b>; rel="next"'


def test_a_crowd_is_let_in_several_at_a_turn() -> None:
    let_in: list[asyncio.BaseTransport] = []

    class Newcomer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            let_in.append(transport)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Newcomer, sock=listener)
        servers = [server, *await listen_more(listener, Newcomer, context=None, backlog=256)]
        turns = 0
        while len(let_in) < len(crowd):
            await asyncio.sleep(0)
            turns += 1
        for opened in servers:
            opened.close()
        for newcomer in let_in:
            newcomer.close()
        return turns

    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        crowd = [
            stack.enter_context(socket.create_connection(listener.getsockname()))
            for _ in range(200)
        ]
        turns = uvloop.new_event_loop().run_until_complete(run())
    assert turns <= len(crowd) / 4
