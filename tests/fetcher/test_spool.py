import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.fills import Epoch, Fill
from common.paths import Layout
from fetcher import writeback
from fetcher.patience import Stopping
from fetcher.spool import Spool, Spools

CONTENT = bytes(range(256)) * 5000
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    return Fill(Layout(str(tmp_path)), DIGEST)


@pytest.fixture
def spools(fill: Fill) -> Iterator[Spools]:
    begun = Spools(fill, generation=1)
    yield begun
    begun.current.close()


def go_on() -> None:
    pass


def leave(fill: Fill, epoch: Epoch, content: bytes, size: int | None = len(CONTENT)) -> None:
    os.makedirs(fill.folder, exist_ok=True)
    Path(fill.spool(epoch)).write_bytes(content)
    fill.start(epoch, size)


def test_a_spool_knows_when_its_bytes_are_right(spools: Spools) -> None:
    verdicts: list[bool] = []
    for part in (CONTENT[:-1], CONTENT[-1:], b"too much"):
        spools.current.append(part)
        verdicts.append(spools.current.is_right)

    assert verdicts == [False, True, False]
    assert spools.current.size == len(CONTENT) + 8
    assert Path(spools.current.path).read_bytes() == CONTENT + b"too much"


def test_no_two_write_one_spool(spools: Spools) -> None:
    with pytest.raises(FileExistsError):
        Spool(spools.current.path, DIGEST)


def test_a_write_that_the_kernel_takes_in_parts_is_whole(
    spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr("fetcher.spool.os.write", lambda fd, view: write(fd, view[:1000]))

    spools.current.append(CONTENT)

    assert Path(spools.current.path).read_bytes() == CONTENT
    assert spools.current.is_right


def test_what_has_come_is_on_its_way_to_the_disk_step_by_step(
    spools: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetcher.writeback._STEP_BYTES", 1000)
    begun = what_is_begun_with(monkeypatch)

    for start in range(0, 3000, 600):
        spools.current.append(CONTENT[start : start + 600])

    assert begun == [(0, 1200), (1200, 1200)]


def test_what_has_come_is_soon_on_its_way_to_a_file_server(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetcher.writeback._shared", {})
    monkeypatch.setattr("fetcher.writeback.is_local", lambda _folder: False)
    clock = iter([7.0, 7.05, 7.11, 7.12, 9.0])
    monkeypatch.setattr("fetcher.writeback.time.monotonic", lambda: next(clock))
    begun = what_is_begun_with(monkeypatch)
    spools = Spools(fill, generation=1)

    for start in range(0, 50, 10):
        spools.current.append(CONTENT[start : start + 10])

    assert begun == [(0, 10), (10, 20), (30, 20)]
    spools.current.close()


def what_is_begun_with(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    begun: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "fetcher.writeback.begin", lambda _, start, count: begun.append((start, count))
    )
    return begun


def test_a_file_that_cannot_be_begun_with_is_left_to_the_sync() -> None:
    reading, writing = os.pipe()
    try:
        writeback.begin(writing, 0, 10)
    finally:
        os.close(reading)
        os.close(writing)


def test_starting_over_leaves_the_old_file_and_takes_a_later_name(
    fill: Fill, spools: Spools
) -> None:
    first = spools.epoch
    spools.current.append(b"wrong")

    spools.start_over()

    assert spools.epoch > first
    assert fill.spools() == [spools.epoch]
    assert spools.current.size == 0
    spools.current.append(CONTENT)
    assert spools.current.is_right


def test_a_later_life_of_the_folder_never_uses_a_name_again(fill: Fill) -> None:
    seen: list[Epoch] = []
    for _ in range(3):
        spools = Spools(fill, generation=1)
        seen.append(spools.epoch)
        spools.discard()

    assert len(set(seen)) == 3


def test_a_new_spool_sorts_after_what_a_claim_of_higher_generation_left(fill: Fill) -> None:
    leave(fill, Epoch(9, 5), b"")

    spools = Spools(fill, generation=1)
    spools.current.close()

    assert spools.epoch > Epoch(9, 5)


def test_an_heir_has_the_bytes_and_readers_are_sent_to_it(fill: Fill) -> None:
    leave(fill, Epoch(1, 1), CONTENT[:5000])
    spools = Spools(fill, generation=2)

    spools.inherit(go_on)

    started = fill.started()
    assert started is not None
    assert (started.epoch, started.size) == (spools.epoch, len(CONTENT))
    assert fill.spools() == [spools.epoch]
    spools.current.append(CONTENT[5000:])
    assert spools.current.is_right
    spools.current.close()


def test_an_heir_of_nothing_sends_readers_nowhere(fill: Fill) -> None:
    leave(fill, Epoch(1, 1), b"")
    spools = Spools(fill, generation=2)

    spools.inherit(go_on)

    assert fill.started() is None
    assert fill.spools() == [spools.epoch]
    spools.current.close()


def test_inheriting_can_be_stopped_and_then_nothing_is_lost(fill: Fill) -> None:
    leave(fill, Epoch(1, 1), CONTENT)
    spools = Spools(fill, generation=2)

    def stop() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        spools.inherit(stop)
    spools.current.close()

    started = fill.started()
    assert started is not None
    assert started.epoch == Epoch(1, 1)
    assert Path(started.spool).read_bytes() == CONTENT


def test_what_is_left_is_kept_unless_it_is_nothing(fill: Fill) -> None:
    spools = Spools(fill, generation=1)
    spools.current.append(b"abc")
    fill.start(spools.epoch, 10)

    spools.leave()

    assert fill.spools() == [spools.epoch]
    assert fill.started() is None
    nothing = Spools(fill, generation=1)
    nothing.leave()
    assert fill.spools() == [spools.epoch]


def test_all_spools_can_be_given_up_to_make_room(fill: Fill) -> None:
    leave(fill, Epoch(1, 1), CONTENT)
    spools = Spools(fill, generation=2)

    spools.discard()
    spools.discard_others()

    assert os.listdir(fill.folder) == []
