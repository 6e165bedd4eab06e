"""Removing data, beside those who link it."""

import os
import threading
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.durable import move_into_place
from common.links import Links, Reference
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName
from janitor.pace import Interrupted, Pace
from tests.janitor.house import GRACE, TTL, House, content_of

_CONTENT = content_of("layer") * 1000
_DIGEST = Digest.of(_CONTENT)
_OLD = RepositoryName("old")
_NEW = RepositoryName("new")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_open_stream_reads_to_its_end_after_the_trash_is_emptied(house: House) -> None:
    house.fill("app", _CONTENT)
    reader = house.blobs.open(_DIGEST)
    assert reader is not None
    assert os.pread(reader.fd, 100, 0) == _CONTENT[:100]
    house.age(TTL + 1)
    house.settle("app", _DIGEST)
    house.age(GRACE + 1)
    house.trash.empty(house.pace())
    assert house.files() == set()
    assert os.pread(reader.fd, reader.size, 0) == _CONTENT
    reader.close()


def test_a_blob_being_filled_is_left_alone(house: House) -> None:
    house.blobs.put(_DIGEST, _CONTENT)
    claim = house.claims.acquire(house.layout.fill(_DIGEST))
    assert claim is not None
    assert not house.vacuum.condemn_unreferenced(_DIGEST)
    assert house.blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT
    claim.release()
    assert house.vacuum.condemn_unreferenced(_DIGEST)


def test_a_link_just_announced_keeps_the_blob_and_one_announced_long_ago_does_not(
    house: House,
) -> None:
    house.blobs.put(_DIGEST, _CONTENT)
    house.links.refer(Kind.LAYER, _NEW, _DIGEST)
    assert not house.vacuum.condemn_unreferenced(_DIGEST)
    house.age(GRACE + 1)
    assert house.vacuum.condemn_unreferenced(_DIGEST)
    assert not os.path.exists(house.layout.references(_DIGEST))


def test_stale_references_beside_a_living_one_are_dropped(house: House) -> None:
    house.fill("old", _CONTENT)
    for name in "abc":
        house.links.refer(Kind.LAYER, RepositoryName(name), _DIGEST)
    house.age(GRACE + 1)
    house.vacuum.forget_stale_references(_DIGEST)
    assert [reference.repository for reference, _ in house.links.references(_DIGEST)] == [_OLD]


def test_nothing_is_condemned_before_all_links_are_known(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    house.fill("app", _CONTENT)
    house.age(TTL + 1)
    house.settle("app", _DIGEST)
    assert not house.has("app", _DIGEST)
    assert house.blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT
    house.adoption.record(house.claims.now() + 1, {})
    assert house.vacuum.condemn_unreferenced(_DIGEST)


def test_a_walk_before_this_janitors_time_does_not_count(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    house.adoption.record(house.claims.now() - 10, {})
    house.blobs.put(_DIGEST, _CONTENT)
    assert not house.vacuum.condemn_unreferenced(_DIGEST)


def test_a_walk_that_is_recorded_at_this_moment_does_not_count_for_who_came_during_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walking = House(tmp_path, is_adopted=False)
    begun = walking.claims.now() - 10
    other = House(tmp_path, is_adopted=False)
    other.blobs.put(_DIGEST, _CONTENT)
    condemned: list[bool] = []

    def move(source: str, target: str) -> None:
        move_into_place(source, target)
        condemned.append(other.vacuum.condemn_unreferenced(_DIGEST))

    monkeypatch.setattr("common.durable.move_into_place", move)
    walking.adoption.record(begun, {})
    assert condemned == [False]
    assert walking.adoption.last_walk() == pytest.approx(begun, abs=0.001)


def test_data_has_its_grace_in_the_trash(house: House) -> None:
    house.blobs.put(_DIGEST, _CONTENT)
    house.vacuum.condemn_unreferenced(_DIGEST)
    house.age(GRACE - 10)
    house.trash.empty(house.pace())
    assert len(list(house.blobs.condemned())) == 1
    house.age(11)
    house.trash.empty(house.pace())
    assert list(house.blobs.condemned()) == []


def test_a_look_at_a_full_trash_goes_at_a_walks_pace(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests now and then, and ends in the middle when the process is to end."""
    monkeypatch.setattr("janitor.pace._BATCH", 2)
    for number in range(5):
        house.blobs.put(digest := Digest.of(content_of(str(number))), content_of(str(number)))
        house.blobs.condemn(digest, house.claims.now() - GRACE)
    stop, rests = threading.Event(), []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return len(rests) == 2

    monkeypatch.setattr(stop, "wait", rest)
    with pytest.raises(Interrupted):
        house.trash.empty(Pace(stop, lambda: None, 60.0))
    assert len(list(house.blobs.condemned())) == 2


def test_what_a_dead_janitor_condemned_though_wanted_is_put_back(house: House) -> None:
    house.fill("app", _CONTENT)
    house.blobs.condemn(_DIGEST, house.claims.now())  # and died before it looked again
    house.trash.empty(house.pace())
    assert house.blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT
    assert list(house.blobs.condemned()) == []


def test_what_was_filled_anew_is_not_put_back_but_removed(house: House) -> None:
    house.blobs.put(_DIGEST, _CONTENT)
    house.vacuum.condemn_unreferenced(_DIGEST)
    house.fill("app", _CONTENT)
    inode = os.stat(house.layout.blob(_DIGEST)).st_ino
    house.age(GRACE + 1)
    house.trash.empty(house.pace())
    assert os.stat(house.layout.blob(_DIGEST)).st_ino == inode
    assert list(house.blobs.condemned()) == []


class _Conductor:
    """Lets the other side take so many steps before each step of the vacuum."""

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None


class _ConductedLinks(Links):
    def __init__(self, layout: Layout, conductor: _Conductor) -> None:
        super().__init__(layout)
        self._conductor = conductor

    def remove(
        self,
        kind: Kind,
        repository: RepositoryName,
        digest: Digest,
        *,
        unused_since: float | None = None,
    ) -> bool:
        self._conductor.before()
        return super().remove(kind, repository, digest, unused_since=unused_since)

    def forget(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        self._conductor.before()
        super().forget(kind, repository, digest)

    def references(self, digest: Digest) -> Iterator[tuple[Reference, float]]:
        self._conductor.before()
        yield from super().references(digest)
        self._conductor.before()


class _ConductedBlobs(FileBlobStore):
    def __init__(self, layout: Layout, conductor: _Conductor) -> None:
        super().__init__(layout)
        self._conductor = conductor

    def condemn(self, digest: Digest, now: float) -> str | None:
        self._conductor.before()
        return super().condemn(digest, now)

    def reprieve(self, condemned: str, digest: Digest) -> None:
        self._conductor.before()
        super().reprieve(condemned, digest)


class _Fetcher:
    """Links a blob that it found in storage, one step at a time; fetches it where it is missing."""

    def __init__(self, layout: Layout, repository: RepositoryName) -> None:
        self._links, self._blobs = Links(layout), FileBlobStore(layout)
        self._repository = repository

    def steps(self) -> Iterator[None]:
        self._links.refer(Kind.LAYER, self._repository, _DIGEST)
        yield
        if self._blobs.size(_DIGEST) is None:
            yield from self._fill()
            return
        yield
        self._links.add(Kind.LAYER, self._repository, _DIGEST)
        yield
        if self._blobs.size(_DIGEST) is None:
            yield from self._fill()

    def _fill(self) -> Iterator[None]:
        self._links.refer(Kind.LAYER, self._repository, _DIGEST)
        yield
        self._blobs.put(_DIGEST, _CONTENT)
        yield
        self._links.add(Kind.LAYER, self._repository, _DIGEST)
        yield


_VACUUM_STEPS = 7
_FETCHER_STEPS = 4
# Every way in which the fetcher's first steps can fall between the vacuum's; what is left of them
# comes afterwards.
_ORDERS = list(combinations_with_replacement(range(_VACUUM_STEPS + 1), _FETCHER_STEPS))


def _play(root: Path, order: tuple[int, ...], repository: RepositoryName) -> House:
    """The old link expires while a fetcher links the blob for `repository`."""
    layout, conductor = Layout(str(root)), _Conductor()
    house = House(
        root,
        links=_ConductedLinks(layout, conductor),
        blobs=_ConductedBlobs(layout, conductor),
    )
    house.fill("old", _CONTENT)
    house.age(TTL + 1)
    fetcher = _Fetcher(layout, repository).steps()
    moments = iter(range(1000))

    def let_the_fetcher_step() -> None:
        now = next(moments)
        for _ in range(order.count(now)):
            next(fetcher, None)

    conductor.before = let_the_fetcher_step
    house.settle("old", _DIGEST)
    conductor.before = lambda: None
    for _ in fetcher:
        pass
    return house


@pytest.fixture
def without_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power will be cut here; hundreds of folders are made and looked at."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.mark.usefixtures("without_syncs")
def test_whatever_the_order_no_link_of_another_repository_is_left_without_data(
    tmp_path: Path,
) -> None:
    for number, order in enumerate(_ORDERS):
        house = _play(tmp_path / str(number), order, _NEW)
        assert house.has("new", _DIGEST), order
        assert not house.has("old", _DIGEST), order
        assert house.blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT, order


@pytest.mark.usefixtures("without_syncs")
def test_whatever_the_order_a_link_made_anew_has_its_reference_and_its_data(
    tmp_path: Path,
) -> None:
    for number, order in enumerate(_ORDERS):
        house = _play(tmp_path / str(number), order, _OLD)
        if house.has("old", _DIGEST):
            assert house.blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT, order
            assert house.vacuum.is_wanted(_DIGEST), order


def test_two_janitors_with_the_same_messages_disturb_nobody(tmp_path: Path) -> None:
    janitors = [House(tmp_path), House(tmp_path)]
    digests = [janitors[0].fill("app", content_of(str(number))) for number in range(30)]
    kept = janitors[0].fill("app", _CONTENT)
    janitors[0].age(TTL + 1)
    janitors[0].links.mark(Kind.LAYER, RepositoryName("app"), kept)
    failures: list[BaseException] = []

    def work(house: House) -> None:
        try:
            for digest in [*digests, kept]:
                house.settle("app", digest)
                house.trash.empty(house.pace())
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(house,)) for house in janitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [digest for digest in digests if janitors[0].blobs.size(digest) is not None] == []
    assert janitors[0].blobs.read(kept, len(_CONTENT)) == _CONTENT
