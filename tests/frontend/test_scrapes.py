"""Scrapes of /metrics while a frontend has thousands of streams open; how long they take is the
benchmark's to say (bench/rows/watching.py).
"""

import os
import resource
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.frontend.stage import Stage, random_bytes, stage
from tests.parts.process import free_port
from tests.waiting import until

_STREAMS = 2000
# Of open files that are left for everything else.
_OTHERS = 200
_SIZE = 8 * 1024 * 1024


@pytest.fixture
def streams() -> Iterator[int]:
    """How many there may be, of 2,000, when this user may open as many files as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(_STREAMS, hard - _OTHERS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def figures(folder: Path) -> set[str]:
    """The files of figures, without one that is being written."""
    return {name for name in os.listdir(folder) if not name.endswith(".new")}


def streaming(front: Stage, path: str) -> socket.socket:
    """A client that has asked for a blob, and reads no more than its head."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect(("127.0.0.1", front.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: registry\r\n\r\n".encode())
    return client


def test_scrapes_and_hits_are_answered_while_thousands_of_streams_are_open(
    tmp_path: Path, streams: int
) -> None:
    debug, metrics = free_port(), tmp_path / "metrics"
    metrics.mkdir()
    told = {
        "addr": f"127.0.0.1:{debug}",
        "prometheus": {"enabled": True, "folder": str(metrics)},
    }
    sections = {"http": {"debug": told}, "frontend": {"connections": 4000}}
    with stage(tmp_path / "root", **sections) as front, ExitStack() as clients:
        blob = front.store_blob("library/app", random_bytes(_SIZE))
        image = front.store_manifest("library/app", b'{"schemaVersion": 2}')
        scrape(debug)
        files = figures(metrics)
        for _ in range(streams):
            opened = streaming(front, f"/v2/library/app/blobs/{blob}")
            clients.enter_context(opened)
            assert opened.recv(12) == b"HTTP/1.1 200"
        line = f"entrepot_open_streams {streams}.0"
        until(lambda: line in scrape(debug).splitlines(), 30, line)
        for _ in range(20):
            assert line in scrape(debug).splitlines()
            assert front.ask(f"/v2/library/app/manifests/{image}").status == 200
        assert figures(metrics) == files
        series = scrape(debug).splitlines()
        # As many lines as without them: no figure is one of a stream or a client.
        assert len(series) < 2000
