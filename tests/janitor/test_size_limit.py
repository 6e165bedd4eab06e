"""Which content goes first when there is too much, and what never goes."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.filesystem import is_local, occupied
from common.fills import Epoch, Fill
from common.messages import FillCommitted, FillStarted, Kind
from common.reference import RepositoryName, Tag
from common.seals import Seal, read_seal, write_seal
from common.walk import digests as all_digests
from common.walk import entries as all_entries
from janitor import candidates, ranking, usage
from janitor.arrivals import Arrivals
from janitor.candidates import Candidate
from janitor.contents import contents
from janitor.eviction import Eviction
from janitor.keeper import Keeper
from janitor.limit import Limits, SizeLimit
from janitor.serving import is_being_read
from janitor.survey import Survey
from tests.janitor.house import DAY, GRACE, JUST_USED, House, content_of
from tests.waiting import until

_APP = RepositoryName("app")
# Long enough ago, in the order of use.
_FIRST, _SECOND, _THIRD = 300.0, 200.0, 100.0
_MUCH = 10**9


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def _fill(house: House, seed: str, ago: float, repository: str = "app") -> Digest:
    digest = house.fill(repository, content_of(seed))
    _used(house, repository, digest, ago)
    return digest


def _used(
    house: House, repository: str, digest: Digest, ago: float, kind: Kind = Kind.LAYER
) -> None:
    stamp = house.claims.now() - ago
    os.utime(house.layout.link(kind, RepositoryName(repository), digest), (stamp, stamp))


def _image(house: House, layers: list[Digest], ago: float, repository: str = "app") -> Digest:
    body = json.dumps(
        {
            "config": {"digest": layers[0]},
            "layers": [{"digest": layer} for layer in layers[1:]],
        }
    ).encode()
    digest = house.fill(repository, body, Kind.MANIFEST)
    _used(house, repository, digest, ago, Kind.MANIFEST)
    return digest


def _survey(house: House) -> None:
    Survey(house.usage, house.candidates, house.ranking, threading.Event()).run(house.pace())


def _size(house: House, digest: Digest) -> int:
    return occupied(os.stat(house.layout.blob(digest)))


def test_the_least_recently_used_goes_first_and_no_more_than_is_wanted(house: House) -> None:
    second, first, third = (
        _fill(house, seed, ago) for seed, ago in (("b", _SECOND), ("a", _FIRST), ("c", _THIRD))
    )
    _survey(house)
    size = _size(house, first)
    assert house.eviction.make_room(1) == size
    assert [house.has("app", digest) for digest in (first, second, third)] == [False, True, True]
    assert house.eviction.make_room(1) == size
    assert [house.has("app", digest) for digest in (first, second, third)] == [False, False, True]


def test_what_was_used_since_the_survey_goes_in_its_new_turn(house: House) -> None:
    used, unused = _fill(house, "a", _FIRST), _fill(house, "b", _SECOND)
    _survey(house)
    _used(house, "app", used, _THIRD)
    house.eviction.make_room(1)
    assert (house.has("app", used), house.has("app", unused)) == (True, False)
    house.eviction.make_room(1)
    assert not house.has("app", used)


def test_what_was_used_a_moment_ago_stays(house: House) -> None:
    digest = _fill(house, "a", JUST_USED / 2)
    _survey(house)
    assert house.eviction.make_room(_MUCH) == 0
    assert house.has("app", digest)


def test_what_a_clock_that_ran_ahead_has_marked_can_be_evicted(house: House) -> None:
    digest = _fill(house, "a", -365 * DAY)
    _survey(house)
    assert house.eviction.make_room(_MUCH) == 0
    house.age(JUST_USED + 1)
    _survey(house)
    house.eviction.make_room(_MUCH)
    assert not house.has("app", digest)


def test_what_is_being_read_stays_and_goes_when_it_is_not(house: House) -> None:
    read, other = _fill(house, "a", _FIRST), _fill(house, "b", _SECOND)
    _survey(house)
    opened = house.blobs.open(read)
    assert opened is not None
    house.eviction.make_room(1)
    assert (house.has("app", read), house.has("app", other)) == (True, False)
    opened.close()
    house.age(JUST_USED + 1)
    _survey(house)
    house.eviction.make_room(1)
    assert not house.has("app", read)


def test_who_opens_a_file_while_it_is_looked_at_only_waits(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            assert path.read_bytes() == b"x"

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5000):
            is_being_read(str(path))
        # Between two of its reads; a reader that is kept waiting in the midst of one reads on later.
        until(lambda: not is_being_read(str(path)), 30)
    finally:
        stop.set()
        reader.join()
    assert not is_being_read(str(tmp_path / "none"))


def test_what_is_being_filled_keeps_its_blob(house: House) -> None:
    digest = _fill(house, "a", _FIRST)
    _survey(house)
    claim = house.claims.acquire(house.layout.fill(digest))
    assert claim is not None
    assert house.eviction.make_room(_MUCH) == 0
    assert house.blobs.size(digest) is not None
    claim.release()


def test_an_image_goes_whole_and_one_used_later_keeps_all_its_layers(house: House) -> None:
    """The layers are older than either manifest: a client that has them asks for manifests only."""
    shared, of_old, of_new = (_fill(house, seed, _FIRST) for seed in "abc")
    old = _image(house, [shared, of_old], _SECOND)
    new = _image(house, [shared, of_new], _THIRD)
    house.tags.point(_APP, Tag("old"), old)
    house.tags.point(_APP, Tag("new"), new)
    _survey(house)
    house.eviction.make_room(_size(house, old) + 1)
    assert not house.has("app", old, Kind.MANIFEST)
    assert [house.has("app", layer) for layer in (shared, of_old, of_new)] == [True, False, True]
    assert house.has("app", new, Kind.MANIFEST)
    assert house.tags.names(_APP) == [Tag("new")]
    house.eviction.make_room(_MUCH)
    assert list(house.blobs.condemned())
    assert not Path(house.layout.repositories, "app").exists()


def test_layers_follow_a_manifest_that_was_used_since_the_survey(house: House) -> None:
    layer, other = _fill(house, "a", _FIRST), _fill(house, "b", _SECOND)
    manifest = _image(house, [layer], _FIRST)
    _survey(house)
    _used(house, "app", manifest, _THIRD, Kind.MANIFEST)
    house.eviction.make_room(1)
    assert (house.has("app", layer), house.has("app", other)) == (True, False)


def test_layers_follow_a_manifest_that_came_since_the_survey(house: House) -> None:
    layer, other = _fill(house, "a", _FIRST), _fill(house, "b", _SECOND)
    _survey(house)
    manifest = _image(house, [layer], _THIRD)
    _arrivals(house, f"manifest:app@{manifest}").settle()
    house.eviction.make_room(1)
    assert (house.has("app", layer), house.has("app", other)) == (True, False)


def test_a_blob_that_another_repository_has_goes_with_its_last_link(house: House) -> None:
    digest = _fill(house, "a", _FIRST)
    _fill(house, "a", _THIRD, "other")
    between = _fill(house, "b", _SECOND)
    _survey(house)
    assert house.eviction.make_room(1) == _size_of(house, between)
    assert not house.has("app", digest)
    assert house.has("other", digest)
    assert house.blobs.size(digest) is not None
    house.eviction.make_room(1)
    assert house.blobs.size(digest) is None


def _size_of(house: House, digest: Digest) -> int:
    (condemned,) = [each for each in house.blobs.condemned() if each.digest == digest]
    return occupied(os.stat(condemned.path))


def _arrivals(house: House, *keys: str) -> Arrivals:
    arrivals = Arrivals(house.usage, house.ranking, house.links, house.tags, house.blobs)
    for key in keys:
        arrivals.hear(FillCommitted(key=key))
    return arrivals


def test_what_arrives_is_counted_once_and_ranked_without_another_survey(house: House) -> None:
    _survey(house)
    layer = house.fill("app", content_of("a"))
    manifest = _image(house, [layer], 0.0)
    house.tags.point(_APP, Tag("v1"), manifest)
    told = (f"blob:app@{layer}", "tag:app:v1", f"blob:app@{layer}", "tag:app:v1", "exists:x", "?:@")
    _arrivals(house, *told).settle()
    assert house.usage.blobs == _size(house, layer) + _size(house, manifest)
    assert house.eviction.make_room(_MUCH) == 0
    house.eviction._just_used = -1.0
    house.eviction.make_room(_MUCH)
    assert house.usage.blobs == 0
    assert house.tags.names(_APP) == []


def _now(house: House) -> float:
    return house.claims.now()


def test_the_count_is_the_same_with_and_without_a_walk(house: House) -> None:
    """Whatever comes, goes and comes back while a walk runs or between two."""
    first = house.fill("app", content_of("before"))
    _survey(house)
    for seed in ("a", "b", "c"):
        house.usage.arrived(house.fill("app", content_of(seed)))
    house.usage.arrived(first)
    house.links.remove(Kind.LAYER, _APP, first)
    house.vacuum.condemn_unreferenced(first)
    assert house.usage.trash == _size_of(house, first)
    house.fill("app", content_of("before"))
    house.usage.arrived(first)
    kept = (house.usage.blobs, house.usage.trash)
    _survey(house)
    assert (house.usage.blobs, house.usage.trash) == kept
    assert house.trash.make_room(1) == kept[1]
    assert house.usage.trash == 0


def _sealed_anew(house: House, digest: Digest) -> None:
    """As the scrub and `entrepot verify` do; each time says something else."""
    path = house.layout.blob(digest)
    seal = read_seal(path) or Seal(0, 0.0)
    assert write_seal(path, Seal(os.stat(path).st_size, seal.verified + 1))


def test_a_blob_that_is_sealed_anew_while_all_are_counted_is_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = house.fill("app", content_of("a"))

    def sealing(folder: str) -> Iterator[Digest]:
        for found in all_digests(folder):
            _sealed_anew(house, found)
            yield found

    monkeypatch.setattr("janitor.usage.walk.digests", sealing)
    house.usage.count(house.pace())
    assert house.usage.blobs == _size(house, digest)


@pytest.mark.parametrize("age", [0.0, DAY])
def test_a_blob_that_is_sealed_anew_and_told_of_again_is_counted_once(
    house: House, age: float
) -> None:
    digest = house.fill("app", content_of("a"))
    house.age(age)
    _survey(house)
    _sealed_anew(house, digest)
    house.fill("other", content_of("a"))
    assert not house.usage.arrived(digest)
    assert house.usage.blobs == _size(house, digest)


def test_what_a_walk_and_an_event_both_tell_of_is_counted_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the event comes before the walk is there or after, and when what came goes again."""
    early, late, gone = (house.fill("app", content_of(seed)) for seed in "abc")

    def telling(folder: str) -> Iterator[Digest]:
        for digest in (early, gone):
            assert house.usage.arrived(digest)
        house.links.remove(Kind.LAYER, _APP, gone)
        house.vacuum.condemn_unreferenced(gone)
        yield from all_digests(folder)
        assert not house.usage.arrived(late)

    monkeypatch.setattr("janitor.usage.walk.digests", telling)
    house.usage.count(house.pace())
    assert house.usage.blobs == _size(house, early) + _size(house, late)
    assert house.usage.trash == _size_of(house, gone)


@pytest.mark.parametrize("most", [10, 0])
def test_what_comes_to_the_trash_and_goes_while_that_is_walked_over_is_counted_right(
    house: House, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Whether the walk has seen it or not; too much of it counts where memory does not hold it."""
    brief, seen, missed = (house.fill("app", content_of(seed)) for seed in "abc")
    _survey(house)
    monkeypatch.setattr(usage, "_MOST_KNOWN", most)

    def condemn(digest: Digest) -> None:
        house.links.remove(Kind.LAYER, _APP, digest)
        assert house.vacuum.condemn_unreferenced(digest)

    def changing(folder: str) -> Iterator[os.DirEntry[str]]:
        condemn(brief)
        house.trash.make_room(1)
        condemn(seen)
        yield from all_entries(folder)
        condemn(missed)

    def emptying(folder: str) -> Iterator[os.DirEntry[str]]:
        yield from all_entries(folder)
        house.trash.make_room(_MUCH)

    monkeypatch.setattr("janitor.usage.walk.entries", changing)
    house.usage.count(house.pace())
    there = sum(_size_of(house, digest) for digest in (seen, missed))
    assert house.usage.trash == there
    monkeypatch.setattr("janitor.usage.walk.entries", emptying)
    house.usage.count(house.pace())
    assert house.usage.trash == (0 if most else there)


def test_no_more_blobs_are_remembered_than_memory_is_to_hold(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_MOST_KNOWN", 3)
    for number in range(5):
        house.fill("app", content_of(str(number)))
    _survey(house)
    newest = house.fill("app", content_of("newest"))
    assert [house.usage.arrived(newest) for _ in range(2)] == [True, False]
    assert len(house.usage._known) == 3


def test_a_blob_that_comes_back_from_the_trash_is_counted_back(house: House) -> None:
    digest = house.fill("app", content_of("a"))
    _survey(house)
    size = house.usage.blobs
    path = house.blobs.condemn(digest, house.claims.now())
    assert path is not None
    house.usage.condemned(digest, path)
    assert (house.usage.blobs, house.usage.trash) == (0, size)
    house.trash.empty(house.pace())
    assert (house.usage.blobs, house.usage.trash) == (size, 0)


def test_a_download_counts_with_its_full_size_from_the_beginning(house: House) -> None:
    fill = Fill(house.layout, Digest.of(b"to come"))
    os.makedirs(fill.folder)
    Path(fill.spool(Epoch(1, 1))).write_bytes(b"x" * 10_000)
    assert house.usage.in_flight() == 12_288
    fill.start(Epoch(1, 1), 5_000_000)
    assert house.usage.in_flight() == 5_000_000


def test_the_oldest_of_the_trash_is_removed_before_its_grace_is_over(house: House) -> None:
    old, new, wanted = (house.fill("app", content_of(seed)) for seed in "abc")
    _survey(house)
    house.vacuum.remove_link(Kind.LAYER, _APP, old, last_use=_now(house) + 1)
    house.age(GRACE / 2)
    house.vacuum.remove_link(Kind.LAYER, _APP, new, last_use=_now(house) + 1)
    # A janitor died before it had looked again.
    house.blobs.condemn(wanted, _now(house) - GRACE)
    house.trash.make_room(1)
    assert [condemned.digest for condemned in house.blobs.condemned()] == [new]
    assert house.blobs.size(wanted) is not None


def _limit(house: House, *, is_local: bool = True, **limits: float) -> SizeLimit:
    """One that is in charge, with a survey done."""
    limit = SizeLimit(
        house.layout,
        Limits(**limits),  # type: ignore[arg-type]
        house.usage,
        _arrivals(house),
        house.ranking,
        house.eviction,
        house.trash,
        house.claims,
        is_adopted=house.adoption.is_complete,
        is_local=is_local,
    )
    limit.is_in_charge()
    _survey(house)
    return limit


def test_nothing_goes_before_the_limit_and_enough_of_it_beyond(house: House) -> None:
    digests = [_fill(house, str(number), _FIRST - number) for number in range(20)]
    _survey(house)
    size = _size(house, digests[0])
    roomy = _limit(house, maxsize=22 * size, lowwater=0.9)
    assert roomy.excess() <= 0
    roomy()
    roomy.close()
    assert all(house.has("app", digest) for digest in digests)
    _limit(house, maxsize=20 * size, lowwater=0.5)()
    assert [house.has("app", digest) for digest in digests] == [False] * 10 + [True] * 10
    assert list(house.blobs.condemned()) == []


def test_room_is_made_for_what_is_still_to_arrive(house: House) -> None:
    digests = [_fill(house, str(number), _FIRST - number) for number in range(10)]
    _survey(house)
    size = _size(house, digests[0])
    fill = Fill(house.layout, Digest.of(b"to come"))
    os.makedirs(fill.folder)
    fill.start(Epoch(1, 1), 5 * size)
    _limit(house, maxsize=10 * size, lowwater=1.0)()
    assert [house.has("app", digest) for digest in digests] == [False] * 5 + [True] * 5


def _begin(house: House, seed: str, size: int | None) -> Fill:
    fill = Fill(house.layout, Digest.of(seed.encode()))
    os.makedirs(fill.folder)
    fill.start(Epoch(1, 1), size)
    return fill


def _commit(house: House, fill: Fill, size: int) -> None:
    os.makedirs(os.path.dirname(house.layout.blob(fill.digest)), exist_ok=True)
    Path(house.layout.blob(fill.digest)).write_bytes(b"x" * size)


def test_no_more_room_is_allotted_than_there_is(house: House) -> None:
    fills = [_begin(house, seed, 40_000) for seed in "abc"]
    limit = _limit(house, maxsize=100_000)
    limit()
    allotted = [fill for fill in fills if fill.allotted()]
    assert [fill.allotted() for fill in allotted] == [40_000, 40_000]
    # A blob that nobody has told of yet counts as what it was allotted.
    _commit(house, allotted[0], 40_000)
    allotted[0].clear()
    os.rmdir(allotted[0].folder)
    limit()
    assert len([fill for fill in fills if fill.allotted()]) == 1
    # And one that failed is no longer counted.
    allotted[1].clear()
    os.rmdir(allotted[1].folder)
    limit()
    assert [fill.allotted() for fill in fills if fill not in allotted] == [40_000]


@pytest.mark.parametrize("seeds", ["abcd", "dcba"])
def test_room_goes_to_whom_only_that_keeps_waiting_and_of_those_to_who_came_first(
    house: House, seeds: str
) -> None:
    fills = [Fill(house.layout, Digest.of(seed.encode())) for seed in seeds]
    under_way, first, second, third = fills
    for start, fill in enumerate(fills):
        os.makedirs(fill.folder)
        fill.start(Epoch(1, start), 40_000)
    for start, fill in enumerate(fills):
        if fill is not under_way:
            Path(fill.spool(Epoch(1, start))).write_bytes(bytes(40_000))
            fill.prove(Epoch(1, start))
    limit = _limit(house, maxsize=100_000)
    limit()
    assert [bool(fill.allotted()) for fill in fills] == [False, True, True, False]
    for fill in (first, second):
        fill.clear()
        os.rmdir(fill.folder)
    limit()
    assert (third.allotted(), under_way.allotted()) == (40_000, 40_000)


def test_what_is_allotted_is_counted_by_the_janitor_that_comes_next(house: House) -> None:
    first, second = (_begin(house, seed, 60_000) for seed in "ab")
    first.allot(60_000)
    limit = _limit(house, maxsize=100_000)
    limit()
    assert (first.allotted(), second.allotted()) == (60_000, 0)


def test_room_is_allotted_as_soon_as_it_is_made(house: House) -> None:
    digests = [_fill(house, str(number), _FIRST - number) for number in range(10)]
    _survey(house)
    size = _size(house, digests[0])
    limit = _limit(house, maxsize=10 * size, lowwater=0.1)
    fill = _begin(house, "to come", 5 * size)
    left_when_allotted: list[int] = []
    allot = Fill.allot

    def watch(one: Fill, count: int) -> None:
        left_when_allotted.append(sum(house.has("app", digest) for digest in digests))
        allot(one, count)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Fill, "allot", watch)
        limit()
    assert fill.allotted() == 5 * size
    assert left_when_allotted == [5]


def test_a_fill_of_unknown_size_is_allotted_its_room_when_it_is_proven(house: House) -> None:
    fill = _begin(house, "to come", None)
    limit = _limit(house, maxsize=100_000)
    limit()
    assert fill.allotted() == 0
    Path(fill.spool(Epoch(1, 1))).write_bytes(b"x" * 5_000)
    fill.prove(Epoch(1, 1))
    limit()
    assert fill.allotted() == 5_000


def test_a_fill_that_turns_out_larger_is_allotted_more(house: House) -> None:
    fill = _begin(house, "to come", 10_000)
    limit = _limit(house, maxsize=100_000)
    limit()
    fill.start(Epoch(1, 2), 50_000)
    limit()
    assert fill.allotted() == 50_000


def test_a_fill_that_nobody_goes_on_with_needs_no_room(house: House) -> None:
    given_up, other = _begin(house, "a", 60_000), _begin(house, "b", 60_000)
    limit = _limit(house, maxsize=100_000)
    given_up.allot(60_000)
    limit()
    assert other.allotted() == 0
    given_up.suspend(Epoch(1, 1))
    given_up.give_room_back()
    limit()
    assert other.allotted() == 60_000
    # Gone on with, it has to ask again.
    given_up.start(Epoch(1, 2), 60_000)
    limit()
    assert given_up.allotted() == 0


def test_a_fill_that_ends_while_it_is_allotted_its_room_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = _limit(house, maxsize=100_000)
    first, second = _begin(house, "a", 10_000), _begin(house, "b", 10_000)
    allot = Fill.allot

    def end_first(fill: Fill, size: int) -> None:
        _commit(house, fill, size)
        fill.clear()
        if fill.digest == first.digest:
            os.rmdir(fill.folder)
        allot(fill, size)

    monkeypatch.setattr(Fill, "allot", end_first)
    limit()
    assert not os.path.exists(first.folder)
    assert not os.path.exists(second.folder)


def test_a_blob_that_lost_its_length_is_no_reason_to_withhold_room(house: House) -> None:
    fill = _begin(house, "damaged", 40_000)
    _commit(house, fill, 1000)
    _limit(house, maxsize=100_000)()
    assert fill.allotted() == 40_000


def test_nobody_waits_for_room_while_nothing_could_be_removed(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    fill = _begin(house, "to come", 40_000)
    _limit(house, maxsize=1)()
    assert fill.allotted() == 40_000


def test_on_a_shared_file_system_the_trash_keeps_its_grace(house: House) -> None:
    digests = [_fill(house, str(number), _FIRST - number) for number in range(4)]
    _survey(house)
    size = _size(house, digests[0])
    limit = _limit(house, is_local=False, maxsize=2 * size, lowwater=1.0)
    limit()
    assert len(list(house.blobs.condemned())) == 2
    limit()
    assert len(list(house.blobs.condemned())) == 2


def test_free_space_is_kept_whoever_takes_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [_fill(house, str(number), _FIRST - number) for number in range(4)]
    _survey(house)
    size = _size(house, digests[0])
    free = 10 * size
    monkeypatch.setattr("common.filesystem.free", lambda _: free)
    limit = _limit(house, minfree=10 * size, lowwater=0.8)
    assert limit.excess() == 0
    free -= 1
    limit()
    assert [house.has("app", digest) for digest in digests] == [False] * 3 + [True]


def test_nothing_goes_while_not_all_links_are_known(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    digest = _fill(house, "a", _FIRST)
    _survey(house)
    limit = _limit(house, maxsize=1)
    limit()
    assert house.has("app", digest)
    house.adoption.record(_now(house) + 1, {})
    limit()
    assert not house.has("app", digest)


def test_of_two_janitors_one_makes_room_until_it_ends(house: House) -> None:
    digest = _fill(house, "a", _FIRST)
    first = _limit(house, maxsize=10**6)
    second = _limit(house, maxsize=1)
    asked: list[bool] = []
    second.on_shortage = lambda: asked.append(True)
    second()
    assert house.has("app", digest)
    assert (first.holds(), second.holds(), asked) == (True, False, [])
    first.close()
    second()
    # What the first has removed is not known here: nothing goes before there is a new count.
    assert house.has("app", digest)
    assert (second.holds(), asked) == (True, [True])
    _survey(house)
    second()
    assert not house.has("app", digest)
    second.close()


def test_who_makes_room_for_longer_than_its_lease_stays_in_charge(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, stop, go_on = threading.Event(), threading.Event(), threading.Event()

    def make_room_slowly(_self: Eviction, _wanted: int, **_: object) -> int:
        making.set()
        go_on.wait(30)
        return 0

    monkeypatch.setattr(Eviction, "make_room", make_room_slowly)
    _fill(house, "a", _FIRST)
    house.claims.lease = 1.0
    rounds = _keeper(house, maxsize=1).attach(house.broker, stop)
    for each in rounds:
        each.start()
    try:
        assert making.wait(30)
        (claim,) = Path(house.layout.limit_claim).iterdir()
        os.utime(claim, (0, 0))
        until(lambda: house.claims.is_held(house.layout.limit_claim), 30)
    finally:
        stop.set()
        go_on.set()
        for each in rounds:
            each.join(30)
    assert not Path(house.layout.limit_claim).exists()


def _keeper(house: House, **limits: int) -> Keeper:
    return Keeper(
        limits=Limits(**limits),
        layout=house.layout,
        claims=house.claims,
        links=house.links,
        tags=house.tags,
        blobs=house.blobs,
        adoption=house.adoption,
        usage=house.usage,
        vacuum=house.vacuum,
        trash=house.trash,
    )


def test_who_was_held_up_for_longer_than_its_lease_is_no_longer_in_charge(house: House) -> None:
    limit = _limit(house, maxsize=1)
    Path(house.layout.limit_claim, "claim.2").touch()
    limit()
    assert not limit.holds()


def test_a_survey_is_asked_for_when_the_candidates_run_out(house: House) -> None:
    asked: list[bool] = []
    limit = _limit(house, maxsize=1)
    limit.on_shortage = lambda: asked.append(True)
    limit()
    assert asked == []
    house.usage.arrived(_fill(house, "a", _FIRST))
    limit()
    assert asked == [True]


def _runs_low(house: House) -> bool:
    return house.ranking.runs_low


def test_of_many_candidates_the_oldest_are_kept_in_mind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (candidates, ranking):
        monkeypatch.setattr(module, "MOST", 3)
    monkeypatch.setattr(ranking, "_FEW", 2)
    digests = [_fill(house, str(number), _FIRST - number) for number in range(6)]
    _survey(house)
    assert not _runs_low(house)
    # Newer than the newest that is kept: others that are not kept may have to go before.
    house.ranking.add(Candidate(_now(house), True, _APP, digests[0]))
    house.eviction.make_room(_MUCH)
    assert [house.has("app", digest) for digest in digests] == [False] * 3 + [True] * 3
    assert _runs_low(house)
    _survey(house)
    house.eviction.make_room(_MUCH)
    assert not any(house.has("app", digest) for digest in digests)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"layers": 7}', b'{"layers": [7, {"digest": "x"}, {"digest": 7}]}'],
)
def test_what_is_no_manifest_has_no_layers(house: House, body: bytes) -> None:
    assert list(contents(house.blobs, house.fill("app", body, Kind.MANIFEST))) == []


_MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/a rw
22 21 0:20 / /srv/shared rw - nfs4 server:/export rw
23 22 8:2 / /srv/shared/own\\040disk rw - xfs /dev/b rw
24 21 0:21 / /srv/fuse rw - fuse.sshfs host: rw
25 21 0:22 / /srv/sharedelse rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/var/lib/registry", True),
        ("/srv/shared", False),
        ("/srv/shared/registry", False),
        ("/srv/shared/own disk/registry", True),
        ("/srv/fuse/registry", False),
        ("/srv/sharedelse", True),
    ],
)
def test_local_file_systems_are_told_from_shared_ones(
    tmp_path: Path, folder: str, expected: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(_MOUNTS)
    assert is_local(folder, str(mounts)) is expected


def test_events_of_other_kinds_are_not_arrivals(house: House) -> None:
    arrivals = _arrivals(house)
    arrivals.hear(FillStarted(key="blob:app@x", digest=Digest.of(b"")))
    arrivals.settle()
    assert house.eviction.make_room(_MUCH) == 0
