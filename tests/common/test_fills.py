"""What a fill shows to those who wait for it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.claims import Claims
from common.digest import Digest
from common.fills import Epoch, Fill, Started
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName

_CONTENT = b"content"
_DIGEST = Digest.of(_CONTENT)
_ONE = RepositoryName("one")
_TWO = RepositoryName("org/two")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def fill(layout: Layout) -> Fill:
    return Fill(layout, _DIGEST)


def test_looking_at_a_fill_makes_none(fill: Fill) -> None:
    assert fill.started() is None
    assert fill.spools() == []
    assert fill.members() == []
    assert not fill.admits(_ONE)
    fill.clear()
    assert not Path(fill.folder).exists()


def test_members_are_those_admitted(fill: Fill) -> None:
    fill.admit(_ONE)
    fill.admit(_TWO)
    fill.admit(_TWO)
    assert fill.admits(_ONE)
    assert not fill.admits(RepositoryName("three"))
    assert sorted(fill.members()) == [_ONE, _TWO]


def test_damaged_members_are_passed_over(fill: Fill) -> None:
    fill.admit(_ONE)
    Path(fill.folder, "member.evil").write_text("../../etc")
    Path(fill.folder, "member.damaged").write_bytes(b"\xff")
    assert fill.members() == [_ONE]


@pytest.mark.parametrize("size", [0, 2**40, None])
def test_a_start_tells_size_and_spool(fill: Fill, size: int | None) -> None:
    fill.start(Epoch(1, 0), size)
    assert fill.started() == Started(Epoch(1, 0), size, fill.spool(Epoch(1, 0)))


def test_the_newest_start_counts_by_number_not_by_name(fill: Fill) -> None:
    for epoch in (Epoch(9, 3), Epoch(10, 0), Epoch(9, 12)):
        fill.start(epoch, 1)
        Path(fill.spool(epoch)).touch()
    started = fill.started()
    assert started is not None
    assert started.epoch == Epoch(10, 0)
    assert fill.spools() == [Epoch(9, 3), Epoch(9, 12), Epoch(10, 0)]


def test_a_fill_is_ahead_of_its_clients_until_the_first_comes(fill: Fill) -> None:
    fill.end_ahead()
    assert not fill.is_ahead()
    fill.begin_ahead()
    assert fill.is_ahead()
    fill.end_ahead()
    fill.end_ahead()
    assert not fill.is_ahead()
    assert os.listdir(fill.folder) == []


def test_a_damaged_start_gives_way_to_the_one_before(fill: Fill) -> None:
    fill.start(Epoch(1, 0), 7)
    for number, content in enumerate([b"", b"{", b"null", b"{}", b'{"size": "x"}']):
        Path(fill.folder, f"started.2.{number}").write_bytes(content)
    Path(fill.folder, "started.3").write_bytes(b'{"size": 1}')
    started = fill.started()
    assert started is not None
    assert started.epoch == Epoch(1, 0)


def test_a_discarded_spool_is_not_told_of_any_more(fill: Fill) -> None:
    for epoch in (Epoch(1, 0), Epoch(2, 0)):
        fill.start(epoch, 1)
        Path(fill.spool(epoch)).touch()
    fill.discard(Epoch(2, 0))
    fill.discard(Epoch(2, 0))
    started = fill.started()
    assert started is not None
    assert started.epoch == Epoch(1, 0)
    assert fill.spools() == [Epoch(1, 0)]


def test_clearing_leaves_the_claim_and_its_release_takes_the_folder(
    fill: Fill, layout: Layout
) -> None:
    claim = Claims(layout, 10).acquire(fill.folder)
    assert claim is not None
    fill.admit(_ONE)
    fill.begin_ahead()
    fill.start(Epoch(1, 0), 1)
    Path(fill.spool(Epoch(1, 0))).touch()
    fill.clear()
    claim.check()
    claim.release()
    assert not Path(fill.folder).exists()


class _Committing:
    """The holder's steps at the commit, one at a time, as common.fills asks for them."""

    def __init__(self, layout: Layout, fill: Fill) -> None:
        self.links, self.blobs, self.fill = Links(layout), FileBlobStore(layout), fill
        claim = Claims(layout, 10).acquire(fill.folder)
        assert claim is not None
        self.claim = claim
        self.members: list[RepositoryName] = []

    def _link(self) -> None:
        for name in self.members:
            self.links.add(Kind.LAYER, name, _DIGEST)

    def steps(self, spool: Path) -> list[Callable[[], None]]:
        return [
            lambda: self.blobs.commit(str(spool), _DIGEST),
            lambda: self.members.extend(self.fill.members()),
            self._link,
            self.fill.clear,
            self.claim.release,
        ]


@pytest.mark.parametrize("moment", range(6))
def test_a_member_is_linked_whenever_it_comes(layout: Layout, fill: Fill, moment: int) -> None:
    """A late member writes its file, then looks for the blob: either it or the holder links."""
    holder = _Committing(layout, fill)
    fill.admit(_ONE)
    spool = Path(fill.spool(Epoch(1, 0)))
    spool.write_bytes(_CONTENT)
    steps = holder.steps(spool)

    def join() -> None:
        fill.admit(_TWO)
        if holder.blobs.size(_DIGEST) is not None:
            holder.links.add(Kind.LAYER, _TWO, _DIGEST)

    steps.insert(moment, join)
    for step in steps:
        step()
    assert holder.links.has(Kind.LAYER, _ONE, _DIGEST)
    assert holder.links.has(Kind.LAYER, _TWO, _DIGEST)
    assert holder.blobs.read(_DIGEST, 100) == _CONTENT


def test_what_was_read_from_a_spool_stays_true_through_the_commit(
    layout: Layout, fill: Fill
) -> None:
    body = os.urandom(300_000)
    digest = Digest.of(body)
    fill = Fill(layout, digest)
    os.makedirs(fill.folder)
    spool = fill.spool(Epoch(1, 0))
    seen = bytearray()
    opened = threading.Event()
    ended = threading.Event()

    def tail() -> None:
        with open(spool, "rb", buffering=0) as file:
            opened.set()
            while not ended.is_set() or len(seen) < len(body):
                seen.extend(file.read(4096))

    with open(spool, "xb", buffering=0) as file:
        reader = threading.Thread(target=tail)
        reader.start()
        assert opened.wait(10)
        file.writelines(body[start : start + 10_000] for start in range(0, len(body), 10_000))
    FileBlobStore(layout).commit(spool, digest)
    ended.set()
    reader.join(10)
    assert bytes(seen) == body
