"""A fetcher killed at any step leaves what the redelivered job makes whole."""

import random
import signal
import sys
from pathlib import Path

import pytest

from common.digest import Digest
from common.messages import FillCommitted, Kind
from common.reference import RepositoryName
from tests.fetcher.workbench import Workbench, fetch, workbench
from tests.parts.counting import Upstream
from tests.parts.process import Process
from tests.waiting import until

LAYER = random.Random(11).randbytes(700_001)
APP = RepositoryName("team/app")
JOINED = RepositoryName("team/joined")

# In the order in which a fill comes to them.
STEPS = [
    ("fetcher.spool:Spools.inherit", 1),
    ("fetcher.spool:Spool.append", 2),
    ("common.fills:Fill.prove", 1),
    ("fetcher.spool:Spool.sync", 1),
    ("common.links:Links.refer", 1),
    ("common.links:Links.refer", 2),
    ("common.blobstore:FileBlobStore.commit", 1),
    ("fetcher.storage:Storage.link", 1),
    ("fetcher.announcer:Announcer.committed", 1),
    ("fetcher.storage:Storage.link", 2),
    ("fetcher.announcer:Announcer.committed", 2),
    ("common.fills:Fill.clear", 1),
    ("fetcher.announcer:Announcer.link_expires", 1),
    ("common.claims:Claim.release", 1),
    ("common.claims:Claim.release", 2),
]


@pytest.mark.parametrize(("step", "call"), STEPS)
def test_a_kill_before_this_step_is_made_good_by_the_redelivered_job(
    tmp_path: Path, upstream: Upstream, step: str, call: int
) -> None:
    upstream.add_blob(JOINED, LAYER)
    digest = upstream.add_blob(APP, LAYER)
    root = tmp_path / "storage"
    with workbench(root, default=upstream.url) as bench:
        # A repository whose job was settled when it had joined: nobody delivers that again.
        bench.fill(digest).admit(JOINED)

        argv = [sys.executable, "-m", "tests.fetcher.dying", str(root), upstream.url]
        dying = Process([*argv, APP, digest, step, str(call)], log=tmp_path / "dying.log")
        until(lambda: dying.exit_code is not None, within=30, what="its death")
        assert dying.exit_code == -signal.SIGKILL, dying.output()

        assert bench.data(digest) in {None, LAYER}
        held = received(bench, digest)
        upstream.forget()
        assert bench.handle(fetch(APP, digest)).settled == ["ack"]

        assert bench.data(digest) == LAYER
        for repository in (APP, JOINED):
            assert bench.storage.has(Kind.LAYER, repository, digest)
        assert FillCommitted(key=fetch(APP, digest).key, digest=digest) in bench.recorder.events
        assert bench.leftovers() == []
        # What storage had received is not asked for again, and the rest once.
        assert first_bytes_asked(upstream) == ([held] if held < len(LAYER) else [])
        until(lambda: upstream.sent("*/blobs/*") == len(LAYER) - held, within=10, what="the rest")


def received(bench: Workbench, digest: Digest) -> int:
    """How many of the blob's bytes are in storage: as the blob, or in the longest spool."""
    if bench.data(digest) is not None:
        return len(LAYER)
    fill = bench.fill(digest)
    return max((Path(fill.spool(epoch)).stat().st_size for epoch in fill.spools()), default=0)


def first_bytes_asked(upstream: Upstream) -> list[int]:
    """Where the parts of blobs begin that were asked for."""
    ranges = [
        exchange.headers.get("range", "bytes=0-") for exchange in upstream.seen("*/blobs/*", "GET")
    ]
    return [int(asked.removeprefix("bytes=").partition("-")[0]) for asked in ranges]
