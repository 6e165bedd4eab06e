"""Events that arrive in another order than they were told in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import (
    Event,
    FetchBlob,
    FillCommitted,
    FillDropped,
    FillFailed,
    FillStarted,
)
from common.reference import RepositoryName
from common.source import Source
from tests.frontend.stage import Filling, Stage, random_bytes, stage

REPOSITORY = "library/alpine"
SOURCE = Source("", RepositoryName(REPOSITORY))
SIZE = 300_000


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("front")
    with stage(folder / "root") as opened:
        opened.play_fetcher()
        yield opened


def told_of(digest: Digest) -> list[Event]:
    """All that fetchers may have told of it: of the fill that runs, and of one before."""
    key = FetchBlob(source=SOURCE, digest=digest).key
    return [
        FillStarted(key=key, digest=digest),
        FillCommitted(key=key, digest=digest),
        FillFailed(
            key=key, status=502, code="UNKNOWN", message="before", retryable=True, digest=digest
        ),
        FillDropped(key=key, digest=digest),
    ]


def path_of(digest: Digest) -> str:
    return f"/v2/{REPOSITORY}/blobs/{digest}"


def until_heard(front: Stage, pool: ThreadPoolExecutor, other: Digest) -> None:
    """Events come in the order in which they were sent here: when one is heard, all before are."""
    answer = pool.submit(front.ask, path_of(other))
    key = FetchBlob(source=SOURCE, digest=other).key
    while front.next_job().key != key:
        pass
    front.broker.emit(
        FillFailed(key=key, status=502, code="UNKNOWN", message="heard", retryable=True)
    )
    assert answer.result(20).status == 502


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_events_in_any_order_cost_nobody_their_pull(front: Stage, order: tuple[int, ...]) -> None:
    content = random_bytes(SIZE, seed=int("".join(map(str, order))))
    digest = Digest.of(content)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(front.ask, path_of(digest))
        front.next_job()
        filling = Filling(front, digest, REPOSITORY, SIZE)
        for number in order:
            front.broker.emit(told_of(digest)[number])
        opened = front.open(path_of(digest))
        until_heard(front, pool, Digest.of(digest.encode()))
        filling.write(content)
        filling.commit()
        assert opened.rest() == (content, False)
        assert waiting.result(20).body == content
    for event in told_of(digest):
        front.broker.emit(event)
    assert front.ask(path_of(digest)).body == content
