import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bench.client import Connection
from bench.figures import DIRECT
from bench.goods import Blob, Goods, Image
from bench.stage import Stage, stage
from common.digest import Digest
from tests.waiting import until

SIZE = 300_000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, []) as made:
        yield made


def get(running: Stage, path: str, **headers: str) -> requests.Response:
    url = f"http://127.0.0.1:{running.parties[DIRECT].port}{path}"
    return requests.get(url, headers=headers, timeout=60)


def test_an_image_is_served_as_a_registry_would(running: Stage) -> None:
    image: Image = running.goods.image(SIZE)
    for path in (image.by_tag, image.by_digest):
        answer = get(running, path)
        assert Digest.of(answer.content) == image.digest
        assert answer.headers["Docker-Content-Digest"] == image.digest
        assert answer.headers["Content-Type"] == "application/vnd.oci.image.manifest.v1+json"
    manifest = json.loads(get(running, image.by_tag).content)
    named = [manifest["config"], *manifest["layers"]]
    assert [each["digest"] for each in named] == [blob.digest for blob in image.blobs]
    for blob in image.blobs:
        assert Digest.of(get(running, blob.path).content) == blob.digest


def test_a_range_is_that_part(running: Stage) -> None:
    blob = running.goods.blob(SIZE)
    whole = running.goods.file(blob.path).read_bytes()
    part = get(running, blob.path, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, whole[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{SIZE}"
    assert get(running, blob.path, Range="bytes=299000-").content == whole[299000:]


def test_what_is_not_there_is_404(running: Stage) -> None:
    assert get(running, "/v2/bench/none/manifests/1").status_code == 404


def test_requests_and_bytes_are_counted_from_when_it_was_told(running: Stage) -> None:
    blob = running.goods.blob(SIZE)
    get(running, blob.path)
    # It counts what it has sent, so a moment after the client may have it.
    until(lambda: running.asked().busy == 0)
    running.tell()
    get(running, blob.path)
    get(running, blob.path, Range="bytes=0-999")
    until(lambda: running.asked().busy == 0)
    asked = running.asked()
    assert (asked.requests, asked.sent_bytes, asked.busy) == (2, SIZE + 1000, 0)


def test_it_takes_the_time_it_is_told_to_take(running: Stage) -> None:
    blob = running.goods.blob(SIZE)
    running.tell(rate=SIZE * 2, latency=0.1)
    # Twice the latency for the first on a connection; half a second for the body. Never less.
    assert get(running, blob.path).elapsed.total_seconds() >= 0.2
    with Connection(running.parties[DIRECT].port) as connection:
        assert connection.get(blob.path).last >= 0.2 + 0.45
        assert connection.get(blob.path).last >= 0.1 + 0.45


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    goods = Goods(tmp_path)
    blobs: list[Blob] = [goods.blob(1024) for _ in range(10)]
    assert len({blob.digest for blob in blobs}) == len({blob.repository for blob in blobs}) == 10
