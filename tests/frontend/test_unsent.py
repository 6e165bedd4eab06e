"""How much the kernel holds for slow readers."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from frontend import unsent as module
from frontend.unsent import MOST, unsent
from tests.frontend.stage import random_bytes, stage
from tests.waiting import until

GIB = 1024**3


@pytest.mark.parametrize(
    ("connections", "workers", "bytes_each"),
    [
        (0, 1, MOST),
        (256, 1, MOST),
        (512, 1, MOST // 2),
        (256, 2, MOST // 2),
        (100_000, 4, 64 * 1024),
    ],
)
def test_each_connection_has_its_part_of_what_the_kernel_has_for_all(
    monkeypatch: pytest.MonkeyPatch, connections: int, workers: int, bytes_each: int
) -> None:
    monkeypatch.setattr(module, "_calm", lambda: GIB)
    assert unsent(connections, workers) == bytes_each


def test_where_the_kernel_does_not_say_something_is_assumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_TCP_MEM", str(tmp_path / "none"))
    assert module._calm.__wrapped__() == GIB // 2


def test_slow_readers_have_less_held_for_them_the_more_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = "import frontend.unsent\nfrontend.unsent._calm = lambda: 16 * 1024 * 1024\n"
    (tmp_path / "sitecustomize.py").write_text(few)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with stage(tmp_path / "root") as front, ExitStack() as clients:
        blob = front.store_blob("library/app", random_bytes(8 * MOST))
        readers = []
        for _ in range(50):
            reader = clients.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(30)
            reader.connect(("127.0.0.1", front.port))
            reader.sendall(f"GET /v2/library/app/blobs/{blob} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert reader.recv(12) == b"HTTP/1.1 200"
            readers.append(reader.getsockname()[1])
        first, last = readers[0], readers[-1]
        until(lambda: held(first) >= MOST, 30, "the first reader's bytes to be held")
        until(lambda: held(last) > 0, 30, "the last reader's bytes to be held")
        assert sum(held(reader) for reader in readers[10:]) < 40 * MOST // 2


def held(port: int) -> int:
    """Bytes that the kernel has for the client at `port`, taken from the server."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].split(":")[1], 16) == port:
            return int(fields[4].split(":")[0], 16)
    return 0
