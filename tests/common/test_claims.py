"""Claims, among real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.claims import Claim, Claims, generations
from common.errors import LeaseLost
from common.paths import Layout
from tests.waiting import until

_LONG = 60.0
_SHORT = 0.4
_FOR_EVER = float("inf")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def folder(layout: Layout) -> str:
    return layout.claim("work")


class _Process:
    """A process that claims (claiming_child)."""

    def __init__(self, root: Path, lease: float) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.common.claiming_child", str(root), str(lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def tell(self, command: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(command + "\n")
        self._child.stdin.flush()

    def answer(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.answer()

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def end(self) -> None:
        self._child.kill()
        with self._child:
            self._child.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[..., _Process]]:
    started: list[_Process] = []

    def start(lease: float = _LONG) -> _Process:
        started.append(_Process(tmp_path, lease))
        return started[-1]

    yield start
    for process in started:
        process.end()


class _Behind:
    """A folder's listing that lags behind the files, as a client of a file server may have it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: float) -> None:
        self.looks = looks
        self.taken = 0
        monkeypatch.setattr("common.claims.generations", self._list)

    def _list(self, folder: str) -> list[int]:
        self.taken += 1
        return generations(folder) if self.taken > self.looks else []


def test_a_claim_that_the_listing_does_not_show_yet_is_held(
    layout: Layout, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = _acquired(Claims(layout, _LONG), folder)
    behind = _Behind(monkeypatch, _FOR_EVER)
    other = Claims(layout, _LONG)
    assert other.is_held(folder)
    assert other.acquire(folder) is None
    assert behind.taken < 10
    claim.release()


def test_a_dead_holders_claim_that_the_listing_does_not_show_is_taken_over(
    layout: Layout, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = _acquired(Claims(layout, _LONG), folder)
    os.utime(f"{folder}/claim.1", (0, 0))
    _Behind(monkeypatch, 1)
    other = Claims(layout, _LONG)
    assert _acquired(other, folder).generation == 2
    with pytest.raises(LeaseLost):
        claim.check()


def test_between_two_tries_to_create_a_claim_there_is_a_pause(
    layout: Layout, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time somebody has the file, and has given it back when it is looked at."""
    pauses: list[float] = []
    claims = Claims(layout, _LONG)
    create, refusals = claims._create, 5

    def refuse(folder: str, generation: int) -> Claim | None:
        return create(folder, generation) if len(pauses) == refusals else None

    monkeypatch.setattr(claims, "_create", refuse)
    monkeypatch.setattr("common.claims.time.sleep", pauses.append)
    assert _acquired(claims, folder).generation == 1
    assert all(pause > 0 for pause in pauses)


def _silence(folder: str) -> None:
    """Have the last heartbeat of the claim of generation 1 be longer ago than a lease."""
    silent_since = time.time() - _LONG - 1
    os.utime(f"{folder}/claim.1", (silent_since, silent_since))


def _acquired(claims: Claims, folder: str) -> Claim:
    claim = claims.acquire(folder)
    assert claim is not None
    return claim


def _acquired_within(claims: Claims, folder: str, seconds: float) -> Claim:
    claim = until(lambda: claims.acquire(folder), within=seconds)
    assert claim is not None
    return claim


def test_what_is_claimed_is_held_until_released(layout: Layout, folder: str) -> None:
    claims, others = Claims(layout, _LONG), Claims(layout, _LONG)
    assert not claims.is_held(folder)
    claim = _acquired(claims, folder)
    assert others.is_held(folder)
    assert others.acquire(folder) is None
    claim.beat()
    claim.release()
    assert not os.path.exists(folder)
    assert not others.is_held(folder)
    _acquired(others, folder).release()


def test_a_release_twice_disturbs_nobody(layout: Layout, folder: str) -> None:
    claims = Claims(layout, _LONG)
    first = _acquired(claims, folder)
    first.release()
    second = _acquired(claims, folder)
    first.release()
    second.check()
    with pytest.raises(LeaseLost):
        first.check()
    second.release()


def test_a_release_keeps_a_folder_that_holds_work(layout: Layout, folder: str) -> None:
    claim = _acquired(Claims(layout, _LONG), folder)
    Path(folder, "spool.1.0").touch()
    claim.release()
    assert os.listdir(folder) == ["spool.1.0"]


def test_a_silent_holder_is_succeeded_and_learns_of_it(layout: Layout, folder: str) -> None:
    claims = Claims(layout, _LONG)
    old = _acquired(claims, folder)
    _silence(folder)
    assert not claims.is_held(folder)
    new = _acquired(claims, folder)
    assert new.generation == old.generation + 1
    for act in (old.check, old.beat):
        with pytest.raises(LeaseLost):
            act()
    old.release()
    new.beat()
    assert claims.is_held(folder)
    new.release()
    assert not os.path.exists(folder)


def test_a_heartbeat_keeps_the_claim(layout: Layout, folder: str) -> None:
    claims = Claims(layout, _LONG)
    claim = _acquired(claims, folder)
    for _ in range(3):
        _silence(folder)
        claim.beat()
        assert claims.acquire(folder) is None
    _silence(folder)
    assert not claims.is_held(folder)
    claim.release()


def test_a_heartbeat_from_a_clock_since_set_back_does_not_hold_for_ever(
    layout: Layout, folder: str
) -> None:
    claims = Claims(layout, _LONG)
    old = _acquired(claims, folder)
    future = time.time() + 10 * _LONG
    os.utime(f"{folder}/claim.1", (future, future))
    new = _acquired(claims, folder)
    new.release()
    old.release()


@pytest.mark.parametrize("content", [b"", b'{"boot": "x"', b"null", b"{}"])
def test_a_claim_whose_holder_is_not_known_counts_until_its_lease_is_over(
    layout: Layout, folder: str, content: bytes
) -> None:
    Path(folder).mkdir(parents=True)
    Path(folder, "claim.1").write_bytes(content)
    assert Claims(layout, _LONG).is_held(folder)
    claims = Claims(layout, _SHORT)
    until(lambda: not claims.is_held(folder), within=10 * _SHORT)
    _acquired(claims, folder).release()


def test_other_files_are_no_claims(layout: Layout, folder: str) -> None:
    Path(folder).mkdir(parents=True)
    for name in ("spool.7.0", "claim.", "claim.x", "claims.3"):
        Path(folder, name).touch()
    assert generations(folder) == []
    assert generations(f"{folder}/spool.7.0") == []
    claim = _acquired(Claims(layout, _LONG), folder)
    assert claim.generation == 1
    claim.release()


def test_the_clock_leaves_nothing_behind(layout: Layout) -> None:
    claims = Claims(layout, _LONG)
    assert claims.now() == pytest.approx(time.time(), abs=60)
    assert len(os.listdir(layout.temporary)) == 1
    claims.close()
    assert os.listdir(layout.temporary) == []
    claims.now()
    claims.close()


def test_a_clock_that_is_swept_away_while_it_is_asked_is_made_anew(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, utime = Claims(layout, _LONG), os.utime
    before = claims.now()

    def swept(path: str) -> None:
        utime(path)
        os.unlink(path)

    monkeypatch.setattr("common.claims.os.utime", swept)
    assert claims.now() >= before
    claims.close()


class _Stopped(Claims):
    """Stopped for three leases each time it asks for the time, while the holder goes on beating."""

    def __init__(self, layout: Layout, holder: str, *, is_stopped_before: bool) -> None:
        super().__init__(layout, _LONG)
        self._holder = holder
        self._is_stopped_before = is_stopped_before
        self._clock = time.time()

    def now(self) -> float:
        asked = self._clock
        self._clock += 3 * _LONG
        os.utime(self._holder, (self._clock, self._clock))
        return self._clock if self._is_stopped_before else asked


@pytest.mark.parametrize("is_stopped_before", [True, False], ids=["before", "after"])
def test_who_was_stopped_while_it_looked_does_not_take_the_holder_for_silent(
    layout: Layout, folder: str, *, is_stopped_before: bool
) -> None:
    claim = _acquired(Claims(layout, _LONG), folder)
    late = _Stopped(layout, f"{folder}/claim.1", is_stopped_before=is_stopped_before)
    assert late.acquire(folder) is None
    claim.check()
    claim.release()


class _ClaimsWithGuests(Claims):
    """Others act between our listing the folder and our reading the claim in it."""

    guests: Callable[[], None] | None = None

    def _is_stale(self, path: str) -> bool | None:
        if self.guests is not None:
            guests, self.guests = self.guests, None
            guests()
        return super()._is_stale(path)


def test_a_claim_that_vanished_while_looked_at_is_not_taken_for_a_dead_one(
    layout: Layout, folder: str
) -> None:
    """The holder releases and another acquires: the folder's new life begins at generation 1."""
    others = Claims(layout, _LONG)
    first = _acquired(others, folder)
    late = _ClaimsWithGuests(layout, _LONG)
    found: list[Claim] = []
    elsewhere = f"{folder}.elsewhere"

    def change_hands() -> None:
        first.release()
        found.append(_acquired(others, folder))
        os.rename(f"{folder}/claim.1", elsewhere)  # not there yet when we read ...

    late.guests = change_hands
    look = late._is_stale

    def look_and_show(path: str) -> bool | None:
        stale = look(path)
        if os.path.exists(elsewhere):
            os.rename(elsewhere, f"{folder}/claim.1")  # ... but there when we would create
        return stale

    late._is_stale = look_and_show  # type: ignore[method-assign]
    assert late.acquire(folder) is None
    found[0].check()
    found[0].release()


def test_a_successor_at_work_is_seen_by_who_listed_its_predecessor(
    layout: Layout, folder: str
) -> None:
    others = Claims(layout, _LONG)
    first = _acquired(others, folder)
    late = _ClaimsWithGuests(layout, _LONG)
    found: list[Claim] = []

    def succeed() -> None:
        _silence(folder)
        found.append(_acquired(others, folder))

    late.guests = succeed
    assert late.is_held(folder)
    first.release()
    found[0].release()


def test_a_higher_claim_beside_ours_is_a_successor(layout: Layout, folder: str) -> None:
    """It has been made and has not yet cleared ours away."""
    claim = _acquired(Claims(layout, _LONG), folder)
    Path(folder, "claim.2").touch()
    with pytest.raises(LeaseLost):
        claim.beat()
    claim.release()
    assert generations(folder) == [2]


def test_who_was_slow_to_claim_gives_way_to_a_later_generation(layout: Layout, folder: str) -> None:
    """Between its look at generation 1 and its creating 2, others had 2 and have 3 now."""
    Path(folder).mkdir(parents=True)
    Path(folder, "claim.1").touch()
    long_ago = time.time() - 2 * _LONG
    os.utime(f"{folder}/claim.1", (long_ago, long_ago))
    slow = _ClaimsWithGuests(layout, _LONG)
    slow.guests = Path(folder, "claim.3").touch
    assert slow.acquire(folder) is None
    assert generations(folder) == [3]


def test_a_killed_holder_is_succeeded_at_once(
    layout: Layout, folder: str, processes: Callable[..., _Process]
) -> None:
    holder = processes(_LONG)
    assert holder.ask("acquire") == "1"
    claims = Claims(layout, _LONG)
    assert claims.acquire(folder) is None
    holder.signal(signal.SIGKILL)
    claim = _acquired_within(claims, folder, _LONG / 10)
    assert claim.generation == 2
    assert os.listdir(folder) == ["claim.2"]
    claim.release()


def test_a_stopped_holder_that_wakes_up_late_finds_its_claim_lost(
    layout: Layout, folder: str, processes: Callable[..., _Process]
) -> None:
    holder = processes(_SHORT)
    assert holder.ask("acquire") == "1"
    holder.signal(signal.SIGSTOP)
    claims = Claims(layout, _SHORT)
    claim = _acquired_within(claims, folder, 20 * _SHORT)
    holder.signal(signal.SIGCONT)
    assert holder.ask("beat") == "lost"
    assert holder.ask("release") == "released"
    claim.beat()
    assert generations(folder) == [2]
    claim.release()


@pytest.mark.parametrize("found", ["nothing", "a dead holder's claim"])
def test_of_eight_who_race_exactly_one_wins_each_round(
    layout: Layout, folder: str, processes: Callable[..., _Process], found: str
) -> None:
    racers = [processes(_LONG) for _ in range(8)]
    for _ in range(15):
        if found != "nothing":
            Path(folder).mkdir(parents=True)
            Path(folder, "claim.4").write_bytes(b"")
            silent_since = time.time() - 2 * _LONG
            os.utime(f"{folder}/claim.4", (silent_since, silent_since))
        for racer in racers:
            racer.tell("acquire")
        answers = [racer.answer() for racer in racers]
        assert sorted(answers)[:-7] == ["1" if found == "nothing" else "5"], answers
        assert answers.count("none") == 7
        for racer in racers:
            assert racer.ask("release") == "released"
        assert not os.path.exists(folder)


def test_of_those_who_claim_and_release_all_the_time_none_is_ever_disturbed(
    processes: Callable[..., _Process],
) -> None:
    contenders = [processes(_LONG) for _ in range(3)]
    for contender in contenders:
        contender.tell("contend")
    worked = [contender.answer() for contender in contenders]
    assert "broken" not in worked
    assert all(int(times) > 0 for times in worked)
