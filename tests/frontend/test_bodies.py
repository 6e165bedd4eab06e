"""Large bodies, each way they are sent: by sendfile(2), and copied."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import FetchBlob
from tests.frontend.stage import Filling, Stage, random_bytes, stage
from tests.waiting import until

REPOSITORY = "library/large"
# More than a socket takes at once, however generous the kernel is.
SIZE = 24 * 1024 * 1024 + 7
CONTENT = random_bytes(SIZE)
DIGEST = Digest.of(CONTENT)
BLOB = f"/v2/{REPOSITORY}/blobs/{DIGEST}"
_KIB = 1024


@pytest.fixture(scope="module", params=[True, False], ids=["sendfile", "copied"])
def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("bodies") / "root"
    with stage(root, frontend={"sendfile": request.param}) as opened:
        opened.store_blob(REPOSITORY, CONTENT)
        opened.play_fetcher()
        yield opened


def connect(front: Stage) -> socket.socket:
    """A client of whom the kernel takes little that it has not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * _KIB)
    client.settimeout(30)
    client.connect(("127.0.0.1", front.port))
    return client


def request(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: registry", *headers, "", ""]
    return "\r\n".join(lines).encode()


def read_head(client: socket.socket) -> bytes:
    """To the end of the headers, and not a byte of the body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, f"closed after {head!r}"
        head += byte
    return head


def read(client: socket.socket, size: int) -> bytes:
    """`size` bytes, or what there is before the connection ends."""
    parts = []
    while size:
        try:
            part = client.recv(min(size, 1 << 20))
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def worker_of(front: Stage) -> int:
    master = front.process.pid
    return int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])


def open_blobs(front: Stage) -> int:
    """How many times the worker has the blob open."""
    count = 0
    for link in Path(f"/proc/{worker_of(front)}/fd").iterdir():
        try:
            count += os.readlink(link).endswith("/data")
        except FileNotFoundError:
            continue
    return count


def test_a_large_blob_comes_whole_and_in_part(front: Stage) -> None:
    answer = front.ask(BLOB)
    assert (answer.status, answer.cut) == (200, False)
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.body == CONTENT
    part = front.ask(BLOB, headers={"Range": "bytes=4097-20000000"})
    assert (part.status, part.body == CONTENT[4097:20_000_001]) == (206, True)
    assert front.ask(BLOB, "HEAD").headers["content-length"] == str(SIZE)


def test_requests_sent_ahead_are_answered_in_their_order(front: Stage) -> None:
    with closing(connect(front)) as client:
        client.sendall(
            request(BLOB)
            + request(BLOB, method="HEAD")
            + request(BLOB, "Range: bytes=5-9000004")
            + request("/v2/")
        )
        assert b" 200 " in read_head(client)
        assert read(client, SIZE) == CONTENT
        assert str(SIZE).encode() in read_head(client)
        assert b" 206 " in read_head(client)
        assert read(client, 9_000_000) == CONTENT[5:9_000_005]
        assert b" 200 " in read_head(client)


def test_a_reader_that_stops_and_goes_on_gets_every_byte(front: Stage) -> None:
    with closing(connect(front)) as slow:
        slow.sendall(request(BLOB))
        read_head(slow)
        begun = read(slow, 1000)
        assert front.ask(BLOB).body == CONTENT  # meanwhile others are served
        assert begun + read(slow, SIZE - 1000) == CONTENT


def test_many_readers_at_once_get_each_their_own(front: Stage) -> None:
    def part(number: int) -> bool:
        start = number * 1_000_003
        answer = front.ask(BLOB, headers={"Range": f"bytes={start}-{start + 3_000_000}"})
        return answer.body == CONTENT[start : start + 3_000_001]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(part, range(20)))


def test_what_a_client_leaves_is_closed(front: Stage) -> None:
    clients = [connect(front) for _ in range(10)]
    for client in clients:
        client.sendall(request(BLOB))
        read_head(client)
    assert open_blobs(front) >= 10
    for client in clients:
        client.close()
    until(lambda: open_blobs(front) == 0, what="the blobs to be closed")
    assert front.ask(BLOB).body == CONTENT


def test_a_blob_that_shrinks_cuts_the_connection(front: Stage) -> None:
    content = CONTENT[::-1]
    digest = front.store_blob(REPOSITORY, content)
    with closing(connect(front)) as client:
        client.sendall(request(f"/v2/{REPOSITORY}/blobs/{digest}"))
        read_head(client)
        os.truncate(front.layout.blob(digest), SIZE - 1_000_000)
        body = read(client, SIZE)
    assert len(body) < SIZE
    assert content.startswith(body)
    until(lambda: open_blobs(front) == 0, what="the blob to be closed")


def test_rubbish_sent_while_the_body_comes_is_not_answered_within_it(front: Stage) -> None:
    # The answer to the rubbish must not be taken for the rest of the body.
    with closing(connect(front)) as client:
        client.sendall(request(BLOB, "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
        read_head(client)
        client.sendall(b"no chunk\r\n" * 3)
        body = read(client, SIZE)
    assert len(body) < SIZE
    assert CONTENT.startswith(body)


@pytest.mark.parametrize("way", [True, False], ids=["sendfile", "copied"])
def test_a_body_under_way_is_finished_before_the_process_ends(tmp_path: Path, way: bool) -> None:
    http = {"draintimeout": "60s"}
    with stage(tmp_path / "root", frontend={"sendfile": way}, http=http) as front:
        front.store_blob(REPOSITORY, CONTENT)
        with closing(connect(front)) as client:
            client.sendall(request(BLOB))
            read_head(client)
            front.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(front), what="the frontend to take no more clients")
            assert read(client, SIZE) == CONTENT
        assert front.process.wait(60) == 0


def refuses(front: Stage) -> bool:
    try:
        socket.create_connection(("127.0.0.1", front.port), timeout=1).close()
    except OSError:
        return True
    return False


def test_slow_readers_take_little_memory(front: Stage) -> None:
    front.ask(BLOB)
    before = anonymous_memory(front)
    clients = [connect(front) for _ in range(100)]
    try:
        for client in clients:
            client.sendall(request(BLOB))
        for client in clients:
            read_head(client)
        assert front.ask("/v2/").status == 200
        # A chunk of the body for each would be 256 KiB.
        assert anonymous_memory(front) - before < 100 * 128 * _KIB
    finally:
        for client in clients:
            client.close()


def anonymous_memory(front: Stage) -> int:
    status = Path(f"/proc/{worker_of(front)}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * _KIB


def test_a_fill_is_streamed_while_it_runs(front: Stage) -> None:
    content = random_bytes(5_000_000, seed=2)
    digest = Digest.of(content)
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(front.ask, f"/v2/library/filling/blobs/{digest}")
        assert isinstance(front.next_job(), FetchBlob)
        filling = Filling(front, digest, "library/filling", len(content))
        opened = pool.submit(front.open, f"/v2/library/filling/blobs/{digest}").result(20)
        filling.write(content[:3_000_000])
        assert opened.read(3_000_000) == content[:3_000_000]
        filling.write(content[3_000_000:])
        filling.commit()
        assert opened.rest() == (content[3_000_000:], False)
        assert whole.result(20).body == content


def test_a_fill_started_over_with_other_bytes_is_cut(front: Stage) -> None:
    content = random_bytes(4_000_000, seed=3)
    digest = Digest.of(content)
    filling = Filling(front, digest, "library/filling", len(content))
    opened = front.open(f"/v2/library/filling/blobs/{digest}")
    filling.write(b"wrong" * 400_000)
    assert opened.read(2_000_000) == b"wrong" * 400_000
    filling.start_over()
    filling.write(content)
    filling.commit()
    body, cut = opened.rest()
    assert cut
    assert len(body) < len(content) - 2_000_000
