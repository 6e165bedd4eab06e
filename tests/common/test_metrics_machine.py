"""Counts put together on one machine: right, whoever is killed, and no heap of files."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from common.metrics import folders, machine, metering
from common.metrics.folders import Folder
from common.metrics.kinds import Registry, Snapshot
from common.metrics.machine import Busy, Member
from common.metrics.metering import Metering
from tests.common.configuring import config

BLOB = ("default", "blob")
_CHILD = [sys.executable, "-m", "tests.common.counting_child"]


def _misses(count: float) -> Snapshot:
    return {"entrepot_misses_total": {BLOB: count}, "entrepot_open_streams": {(): 1}}


def _total(member: Member) -> int:
    return int(cast("float", member.collect().get("entrepot_misses_total", {}).get(BLOB, 0)))


def _streams(member: Member) -> float:
    return cast("float", member.collect()["entrepot_open_streams"][()])


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def asker(folder: str) -> Iterator[Member]:
    member = Member(folder)
    member.publish(_misses(0))
    yield member
    member.leave()


class Counting:
    """A child that counts until it is killed."""

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen([*_CHILD, folder], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._told = self._process.stdout
        self.counted = int(self._told.readline())

    def kill(self) -> None:
        """At any moment; `counted` is what it had said of itself by then."""
        self._process.kill()
        self._process.wait()
        self.counted = max([self.counted, *map(int, self._told.read().split())])
        self._told.close()


def test_the_living_are_added_up(folder: str, asker: Member) -> None:
    other = Member(folder)
    other.publish(_misses(3))
    asker.publish(_misses(4))
    assert (_total(asker), _total(other), _streams(asker)) == (7, 7, 2)
    other.leave()


def test_the_dead_count_on_but_are_no_gauge(folder: str, asker: Member) -> None:
    other = Member(folder)
    other.publish(_misses(3))
    other.leave()
    assert (_total(asker), _streams(asker)) == (3, 1)
    assert (_total(asker), _streams(asker)) == (3, 1)


def test_many_killed_workers_lose_nothing_they_published_and_leave_no_files(
    folder: str, asker: Member
) -> None:
    expected = seen = 0
    for _ in range(8):
        pair = [Counting(folder), Counting(folder)]
        for child in pair:
            child.kill()
            total = _total(asker)
            assert total >= seen
            seen = total
        expected += sum(child.counted for child in pair)
        # A killed one may have published once more than it could say.
        assert expected <= _total(asker) <= expected + 16
        assert len(os.listdir(folder)) <= 4, os.listdir(folder)


def test_killed_ones_are_folded_by_whoever_comes_though_nobody_asks(folder: str) -> None:
    for _ in range(5):
        Counting(folder).kill()
    assert len(os.listdir(folder)) <= 5, os.listdir(folder)


# Before the totals are renamed into place, and before each file of two dead ones is removed.
@pytest.mark.parametrize("step", ["replace:0", *[f"remove:{n}" for n in range(6)]])
def test_one_killed_while_it_takes_stock_spoils_nothing(folder: str, step: str) -> None:
    for count in (3, 4):
        member = Member(folder)
        member.publish(_misses(count))
        member.leave()
    subprocess.run([*_CHILD, folder, step], check=False)
    asker = Member(folder)
    assert _total(asker) == 7
    assert _total(asker) == 7
    asker.leave()


def test_whoever_is_named_in_the_totals_is_forgotten_in_time(folder: str, asker: Member) -> None:
    for _ in range(20):
        member = Member(folder)
        member.publish(_misses(1))
        member.leave()
    assert _total(asker) == 20
    assert (Path(folder) / "totals.json").stat().st_size < 500


def test_a_folder_that_somebody_holds_for_long_is_given_up(
    folder: str, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_PATIENCE", 0.05)
    with open(f"{folder}/lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Busy):
            asker.collect()
    assert _total(asker) == 0


def test_what_another_version_says_is_left_out(folder: str, asker: Member) -> None:
    other = Member(folder)
    other.publish(
        {
            "entrepot_of_tomorrow_total": {(): 1},
            "entrepot_misses_total": {BLOB: [1.0, 2.0]},
            "entrepot_fill_seconds": {("default",): [1.0, 2.0]},
        }
    )
    assert "entrepot_of_tomorrow_total" not in asker.collect()
    assert _total(asker) == 0
    other.leave()


def test_a_folder_goes_with_its_owner(tmp_path: Path) -> None:
    folder = Folder([str(tmp_path)])
    assert Path(folder.path).is_dir()
    folder.remove()
    assert not Path(folder.path).exists()


def test_a_folder_whose_owner_was_killed_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned, held = tmp_path / "entrepot-metrics-old", Folder([str(tmp_path)])
    abandoned.mkdir()
    (tmp_path / "another's").mkdir()
    monkeypatch.setattr(folders, "_YOUNG", 0.0)
    following = Folder([str(tmp_path)])
    assert not abandoned.exists()
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "another's",
        Path(held.path).name,
        Path(following.path).name,
    }
    held.remove()
    following.remove()


def test_a_young_folder_is_left_alone(tmp_path: Path) -> None:
    young = tmp_path / "entrepot-metrics-young"
    young.mkdir()
    Folder([str(tmp_path)]).remove()
    assert young.is_dir()


def test_the_last_place_takes_it_where_no_other_does(tmp_path: Path) -> None:
    folder = Folder([str(tmp_path / "missing"), str(tmp_path / "made" / "now")])
    assert folder.path.startswith(str(tmp_path / "made" / "now"))
    folder.remove()


def test_who_waits_for_what_is_added_up_of_those_that_live(folder: str, asker: Member) -> None:
    other = Member(folder)
    asker.publish_waiting({"one": 2})
    other.publish_waiting({"one": 1, "two": 3})
    assert asker.collect_waiting() == {"one": 3, "two": 3}
    asker.publish_waiting({})
    assert not list(Path(folder).glob(f"{asker._id}.waiting"))
    assert asker.collect_waiting() == {"one": 1, "two": 3}
    other.leave()
    assert asker.collect_waiting() == {}
    asker.collect()
    assert not list(Path(folder).glob("*.waiting"))


class _Connected:
    connected = True


def test_who_is_asked_after_its_end_is_not_counted_twice(
    folder: str, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    misses = registry.counter("entrepot_misses_total", "", "upstream", "type").of(*BLOB)
    monkeypatch.setattr(metering, "REGISTRY", registry)
    monkeypatch.setattr(metering, "prime", lambda *_: None)
    monkeypatch.setattr(metering, "watch_process", lambda _: lambda: None)
    plain = config()
    prometheus = replace(plain.http.debug.prometheus, enabled=True, folder=folder)
    debug = replace(plain.http.debug, prometheus=prometheus)
    ending = Metering(replace(plain, http=replace(plain.http, debug=debug)), "fetcher")
    ending.start(_Connected())
    misses.add(3)
    ending.close()
    (page,) = ending.pages.values()
    assert page().status == 503
    assert _total(asker) == 3
