"""The slow look at everything, also at folders that another registry filled."""

import itertools
import os
import threading
from pathlib import Path

import pytest

from common.claims import Claims
from common.digest import Digest
from common.fills import Epoch, Fill
from common.messages import ExpireLink, ExpireTag, Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.referrers import ReferrerLists
from common.source import Source
from common.tags import TagLists
from janitor import walk
from janitor.leftovers import Leftovers
from janitor.pace import Interrupted, Pace
from janitor.sweeper import Sweeper
from tests.janitor.house import DAY, GRACE, TTL, House, content_of, expire_link, expire_tag

_LAYER = content_of("layer")
_MANIFEST = content_of("manifest")
_REPOSITORY = RepositoryName("library/app")
_TAG = Tag("v1")


def _write(path: str, content: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def _filled_by_another_registry(root: Path, repository: RepositoryName) -> None:
    """Exactly what distribution leaves after a push of one layer and one manifest."""
    layout = Layout(str(root))
    layer, manifest = Digest.of(_LAYER), Digest.of(_MANIFEST)
    _write(layout.blob(layer), _LAYER)
    _write(layout.blob(manifest), _MANIFEST)
    _write(layout.link(Kind.LAYER, repository, layer), layer.encode())
    _write(layout.link(Kind.MANIFEST, repository, manifest), manifest.encode())
    _write(layout.tag_current(repository, _TAG), manifest.encode())
    _write(layout.tag_index(repository, _TAG, manifest), manifest.encode())
    os.makedirs(f"{layout.repositories}/{repository}/_uploads")


def _has_all(house: House, repository: str) -> bool:
    layer, manifest = Digest.of(_LAYER), Digest.of(_MANIFEST)
    return (
        house.has(repository, layer)
        and house.has(repository, manifest, Kind.MANIFEST)
        and house.blobs.read(layer, 1000) == _LAYER
        and house.blobs.read(manifest, 1000) == _MANIFEST
        and house.tags.read(RepositoryName(repository), _TAG) is not None
    )


def test_an_old_folder_of_another_registry_is_taken_in_whole_and_begins_its_life(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, is_adopted=False)
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    house.age(100 * TTL)
    house.sweep().run(house.pace())
    assert house.adoption.is_complete()
    assert _has_all(house, _REPOSITORY)
    assert house.vacuum.is_wanted(Digest.of(_LAYER))
    assert dict(house.broker.published) == {
        expire_link(_REPOSITORY, Digest.of(_LAYER)): TTL,
        expire_link(_REPOSITORY, Digest.of(_MANIFEST), Kind.MANIFEST): TTL,
        expire_tag(_REPOSITORY, _TAG): TTL,
    }


def test_what_was_taken_in_goes_to_the_last_file_when_it_is_due(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    house.sweep().run(house.pace())
    house.age(TTL + 1)
    for message, _ in house.broker.published:
        assert isinstance(message, ExpireLink | ExpireTag)
        assert house.expiries.settle(message) is None
    house.age(GRACE)
    house.trash.empty(house.pace())
    assert house.files() == set()


def test_a_folder_of_a_named_upstream_is_taken_in_under_its_name(tmp_path: Path) -> None:
    house = House(tmp_path, ttls={"": TTL, "quay.io": 5 * TTL}, is_adopted=False)
    _filled_by_another_registry(tmp_path, RepositoryName("quay.io/app"))
    house.sweep().run(house.pace())
    sources = {message.source for message, _ in house.broker.published}
    assert sources == {Source("quay.io", RepositoryName("app"))}
    assert {delay for _, delay in house.broker.published} == {5 * TTL}


def test_nothing_is_queued_for_what_is_kept_for_ever(tmp_path: Path) -> None:
    house = House(tmp_path, ttls={"": None}, is_adopted=False)
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    house.sweep().run(house.pace())
    assert house.broker.published == []
    assert _has_all(house, _REPOSITORY)


def test_a_second_sweep_queues_nothing_again(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    house.fill("app", content_of("ours"))
    house.sweep().run(house.pace())
    queued = len(house.broker.published)
    house.sweep().run(house.pace())
    assert queued == 3
    assert len(house.broker.published) == queued


def test_what_another_registry_writes_later_is_taken_in_by_the_next_sweep(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.fill("app", _LAYER)
    house.sweep().run(house.pace())
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    house.sweep().run(house.pace())
    house.age(TTL + 1)
    house.links.mark(Kind.LAYER, _REPOSITORY, Digest.of(_LAYER))
    house.settle("app", Digest.of(_LAYER))
    assert house.blobs.read(Digest.of(_LAYER), 1000) == _LAYER


def test_an_adoption_beside_a_broker_that_is_away_asks_it_once(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    house.broker.connected = False
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    house.sweep().run(house.pace())
    assert house.broker.refused == 1
    assert house.adoption.is_complete()


def test_what_the_events_missed_is_removed(tmp_path: Path) -> None:
    house = House(tmp_path)
    due, used = house.fill("app", _LAYER), house.fill("app", content_of("used"))
    house.tags.point(RepositoryName("app"), _TAG, due)
    house.age(TTL + 1)
    house.links.mark(Kind.LAYER, RepositoryName("app"), used)
    house.sweep().run(house.pace())
    assert not house.has("app", due)
    assert house.blobs.size(due) is None
    assert house.tags.names(RepositoryName("app")) == []
    assert house.has("app", used)


def test_what_was_to_expire_before_it_was_there_ends_with_its_life_all_the_same(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    assert house.settle("app", Digest.of(_LAYER)) is None
    late = house.fill("app", _LAYER)
    house.age(TTL - 60)
    house.sweep().run(house.pace())
    assert house.has("app", late)
    house.age(61)
    house.sweep().run(house.pace())
    assert not house.has("app", late)


def test_blobs_without_any_link_are_removed_once_they_have_settled(tmp_path: Path) -> None:
    house = House(tmp_path)
    orphan, linked = Digest.of(_LAYER), house.fill("app", _MANIFEST)
    house.blobs.put(orphan, _LAYER)
    house.sweep().run(house.pace())
    assert house.blobs.size(orphan) is not None, "its link may be about to come"
    patient = House(tmp_path, grace=0.0)
    patient.sweep().run(patient.pace())
    assert patient.blobs.size(orphan) is None
    assert patient.blobs.size(linked) is not None


def test_stale_references_are_dropped(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.links.refer(Kind.LAYER, _REPOSITORY, Digest.of(_LAYER))
    house.age(GRACE + 1)
    house.sweep().run(house.pace())
    assert house.files() == set()


def test_a_walk_that_could_not_see_everything_is_not_recorded(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    os.symlink("sha512", f"{house.layout.links(Kind.LAYER, _REPOSITORY)}/sha512")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        house.sweep().run(house.pace())
    assert house.adoption.last_walk() is None
    assert house.blobs.read(Digest.of(_LAYER), 1000) == _LAYER


def test_a_walk_that_was_interrupted_is_not_recorded(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        house.sweep().run(Pace(stop, lambda: None, 60.0))
    assert house.adoption.last_walk() is None


def test_a_walk_says_that_it_lives(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number in range(5):
        house.fill("app", content_of(str(number)))
    beats: list[int] = []
    house.sweep().run(Pace(threading.Event(), lambda: beats.append(1), 0.0))
    assert len(beats) >= 5


def test_repositories_inside_others_and_beside_foreign_folders_are_found(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in ("a", "a/b", "a/b/c", "d/e"):
        house.fill(name, _LAYER)
    os.makedirs(f"{house.layout.repositories}/lost+found")
    os.makedirs(f"{house.layout.repositories}/UPPER/_layers")
    Path(house.layout.repositories, "file").touch()
    os.symlink(house.layout.repositories, f"{house.layout.repositories}/d/circle")
    found = set(walk.repositories(house.layout))
    assert {"a", "a/b", "a/b/c", "d/e", "d/circle/a"} <= found
    assert not {name for name in found if "UPPER" in name or "lost" in name}


def test_links_of_unknown_algorithms_are_passed_over(tmp_path: Path) -> None:
    house = House(tmp_path)
    digest = house.fill("app", _LAYER)
    sha512 = Digest.of(_LAYER, "sha512")
    house.links.add(Kind.MANIFEST, RepositoryName("app"), sha512)
    _write(f"{house.layout.links(Kind.LAYER, RepositoryName('app'))}/md5/abc/link", b"md5:abc")
    _write(f"{house.layout.blobs}/md5/ab/abc/data", b"x")
    found = set(walk.links(house.layout, RepositoryName("app")))
    assert found == {(Kind.LAYER, digest), (Kind.MANIFEST, sha512)}
    assert set(walk.digests(house.layout.blobs)) == {digest}


def test_an_empty_root_is_swept_too(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    house.sweep().run(house.pace())
    assert house.adoption.is_complete()


def _sweeper(house: House, interval: float = DAY) -> Sweeper:
    return Sweeper(
        layout=house.layout,
        claims=house.claims,
        adoption=house.adoption,
        sweep=house.sweep(),
        leftovers=house.leftovers,
        interval=interval,
        stop=threading.Event(),
    )


def test_a_sweep_comes_at_the_start_and_then_after_its_interval(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    sweeper = _sweeper(house)
    assert sweeper() == pytest.approx(DAY, abs=60)
    first = house.adoption.last_walk()
    assert first is not None
    assert sweeper() == pytest.approx(DAY, abs=60)
    assert house.adoption.last_walk() == first


def test_a_start_sweeps_again_for_what_was_written_while_no_janitor_ran(tmp_path: Path) -> None:
    _sweeper(House(tmp_path, is_adopted=False))()
    _filled_by_another_registry(tmp_path, _REPOSITORY)
    started_again = House(tmp_path, is_adopted=False)
    assert not started_again.adoption.is_complete()
    _sweeper(started_again)()
    assert started_again.adoption.is_complete()
    assert started_again.vacuum.is_wanted(Digest.of(_LAYER))


def test_of_two_janitors_one_sweeps_and_the_other_looks_again_soon(tmp_path: Path) -> None:
    one, other = House(tmp_path, is_adopted=False), House(tmp_path, is_adopted=False)
    claim = one.claims.acquire(one.layout.claim("sweep"))
    assert claim is not None
    assert _sweeper(other)() == other.claims.lease
    assert other.adoption.last_walk() is None
    claim.release()
    _sweeper(one)()
    assert _sweeper(other)() > other.claims.lease


def test_a_sweep_whose_claim_was_taken_over_ends_quietly(tmp_path: Path) -> None:
    house = House(tmp_path, is_adopted=False)
    house.claims = Claims(house.layout, 0.0)  # so that a heartbeat is due at every step
    house.fill("app", _LAYER)
    house.fill("app", content_of("another"))
    sweeper = _sweeper(house)
    other = House(tmp_path, is_adopted=False)
    taken: list[object] = []
    take_in = house.adoption.take_in

    def taking(kind: Kind, repository: RepositoryName, digest: Digest) -> bool:
        folder = house.layout.claim("sweep")
        os.utime(f"{folder}/claim.1", (0, 0))
        taken.append(other.claims.acquire(folder))
        return take_in(kind, repository, digest)

    house.adoption.take_in = taking  # type: ignore[method-assign]
    sweeper()
    assert len(taken) == 1
    assert taken[0] is not None
    assert house.adoption.last_walk() is None


def test_abandoned_work_is_cleared_after_a_day(tmp_path: Path) -> None:
    house = House(tmp_path)
    fill = Fill(house.layout, Digest.of(_LAYER))
    fill.admit(_REPOSITORY)
    fill.start(Epoch(1, 0), 7)
    _write(fill.spool(Epoch(1, 0)), b"partial")
    _write(f"{fill.folder}/claim.1", b"")
    _write(f"{house.layout.claim('other work')}/claim.3", b"")
    _write(f"{house.layout.temporary}/half-written", b"x")
    TagLists(house.layout).write(_REPOSITORY, [_TAG])
    ReferrerLists(house.layout).write(_REPOSITORY, Digest.of(_LAYER), [])
    before = house.files()
    assert len(before) == 8
    house.age(DAY - 60)
    for name in before:  # young again, but for the lists, whose life is over
        if "taglists" not in name and "referrers" not in name:
            os.utime(tmp_path / name)
    house.leftovers.clear(house.pace())
    assert len(house.files()) == 6
    house.age(DAY + 60)
    house.leftovers.clear(house.pace())
    assert house.files() == set()
    assert list(walk.entries(house.layout.fills)) == []
    assert list(walk.entries(house.layout.claims)) == []


def test_work_in_hand_is_left_alone_however_old_its_files(tmp_path: Path) -> None:
    house = House(tmp_path)
    fill = Fill(house.layout, Digest.of(_LAYER))
    fill.admit(_REPOSITORY)
    claim = house.claims.acquire(fill.folder)
    assert claim is not None
    house.age(2 * DAY)
    claim.beat()
    house.leftovers.clear(house.pace())
    claim.check()
    assert fill.admits(_REPOSITORY)
    claim.release()


_HEX = Digest.of(_LAYER).hex
_EMPTY = [
    f"docker/registry/v2/blobs/sha256/{_HEX[:2]}/{_HEX}",
    f"docker/registry/v2/blobs/sha256/{_HEX[:2]}",
    "docker/registry/v2/blobs/sha512",
    "docker/registry/v2/repositories/library",
    f"docker/registry/v2/repositories/a/_layers/sha256/{_HEX}",
    "docker/registry/v2/repositories/a/_layers/sha256",
    "docker/registry/v2/repositories/a/_layers",
    f"docker/registry/v2/repositories/a/b/_manifests/revisions/sha256/{_HEX}",
    "docker/registry/v2/repositories/a/_manifests",
    "docker/registry/v2/repositories/a/_manifests/tags",
    "docker/registry/v2/repositories/a/_manifests/tags/v1/current",
    f"docker/registry/v2/repositories/a/_manifests/tags/v1/index/sha256/{_HEX}",
    "docker/registry/v2/repositories/a/_uploads",
    f"entrepot/references/sha256/{_HEX[:2]}/{_HEX}",
    f"entrepot/references/sha256/{_HEX[:2]}",
    "entrepot/claims/ab/abcdef",
    "entrepot/claims/ab",
    f"entrepot/fills/sha256/{_HEX[:2]}/{_HEX}",
    f"entrepot/fills/sha256/{_HEX[:2]}",
]


def _sweep_all(house: House) -> None:
    house.sweep().run(house.pace())
    house.leftovers.clear(house.pace())


@pytest.mark.parametrize("folder", _EMPTY)
def test_a_folder_that_a_crash_left_empty_goes_after_a_day(tmp_path: Path, folder: str) -> None:
    house = House(tmp_path)
    top = {"docker": 3, "entrepot": 2}[folder.partition("/")[0]]
    highest = Path(tmp_path, *folder.split("/")[: top + 2])
    (tmp_path / folder).mkdir(parents=True)
    house.age(DAY - 60)
    _sweep_all(house)
    assert (tmp_path / folder).is_dir()
    house.age(61)
    _sweep_all(house)
    assert not highest.exists()


def test_empty_folders_beside_what_is_used_go_and_that_stays(tmp_path: Path) -> None:
    house = House(tmp_path)
    name, digest = (
        RepositoryName("library/app"),
        house.fill("library/app", _MANIFEST, Kind.MANIFEST),
    )
    house.tags.point(name, _TAG, digest)
    index = house.layout.tag_index(name, _TAG, Digest.of(_LAYER))
    Path(index).parent.mkdir()
    house.age(2 * DAY)
    house.links.mark(Kind.MANIFEST, name, digest)
    house.tags.mark(name, _TAG)
    _sweep_all(house)
    assert not Path(index).parent.exists()
    stored = house.tags.read(name, _TAG)
    assert stored is not None
    assert stored.digest == digest
    assert stored.confirmed > 0


def test_who_is_about_to_use_an_empty_folder_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep comes between its making and its use, at every seventh folder."""
    monkeypatch.setattr("janitor.hollow._LEFT_AFTER", -1.0)
    house, sweeping = House(tmp_path), House(tmp_path)
    mkdir, made, swept = os.mkdir, itertools.count(), []

    def swept_at_once(path: str) -> None:
        mkdir(path)
        if next(made) % 7 == 6:
            with monkeypatch.context() as undisturbed:
                undisturbed.setattr(os, "mkdir", mkdir)
                _sweep_all(sweeping)
            swept.append(not os.path.exists(path))

    monkeypatch.setattr(os, "mkdir", swept_at_once)
    filled = [house.fill(f"app{number}", content_of(str(number))) for number in range(20)]
    assert sum(swept) > 10
    assert all(house.has(f"app{number}", digest) for number, digest in enumerate(filled))
    assert all(house.blobs.size(digest) is not None for digest in filled)


def test_upstreams_lists_are_kept_for_ever_where_content_is(tmp_path: Path) -> None:
    house = House(tmp_path)
    TagLists(house.layout).write(_REPOSITORY, [_TAG])
    ReferrerLists(house.layout).write(_REPOSITORY, Digest.of(_LAYER), [])
    house.age(1000 * DAY)
    Leftovers(house.layout, house.claims, list_life=None).clear(house.pace())
    assert TagLists(house.layout).read(_REPOSITORY) is not None
    assert ReferrerLists(house.layout).read(_REPOSITORY, Digest.of(_LAYER)) is not None


def test_a_link_without_data_and_a_tag_without_a_manifest_go_after_the_grace(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, ttls={"": None})
    layer = house.fill("library/app", _LAYER)
    manifest = house.fill("library/app", _MANIFEST, Kind.MANIFEST)
    house.tags.point(_REPOSITORY, _TAG, manifest)
    os.unlink(house.layout.blob(layer))
    house.links.remove(Kind.MANIFEST, _REPOSITORY, manifest)
    house.sweep().run(house.pace())
    assert house.has("library/app", layer)
    assert house.tags.names(_REPOSITORY) == [_TAG]
    house.age(GRACE + 1)
    house.sweep().run(house.pace())
    assert not Path(house.layout.repositories, "library").exists()


def test_a_shorter_life_is_told_to_what_is_there_and_only_once(tmp_path: Path) -> None:
    before = House(tmp_path, ttls={"": None, "ghcr.io": TTL, "quay.io": 1.0})
    digest = before.fill("library/app", _LAYER)
    manifest = before.fill("ghcr.io/app", _MANIFEST, Kind.MANIFEST)
    before.tags.point(RepositoryName("ghcr.io/app"), _TAG, manifest)
    before.fill("quay.io/app", _LAYER)
    before.sweep().run(before.pace())
    assert before.broker.published == []
    after = House(tmp_path, ttls={"": TTL, "ghcr.io": TTL / 2, "quay.io": TTL}, is_adopted=False)
    after.sweep().run(after.pace())
    told = {message.key: delay for message, delay in after.broker.published}
    ghcr = Source("ghcr.io", RepositoryName("app"))
    assert told == {
        expire_link("library/app", digest).key: pytest.approx(TTL, abs=60),
        ExpireLink(source=ghcr, digest=manifest, kind=Kind.MANIFEST).key: pytest.approx(
            TTL / 2, abs=60
        ),
        ExpireTag(source=ghcr, tag=_TAG).key: pytest.approx(TTL / 2, abs=60),
    }
    after.broker.published.clear()
    after.sweep().run(after.pace())
    assert after.broker.published == []


def test_what_a_clock_that_ran_ahead_has_marked_counts_as_used_now(tmp_path: Path) -> None:
    house = House(tmp_path)
    digest = house.fill("app", _LAYER)
    house.tags.point(RepositoryName("app"), _TAG, digest)
    house.age(-365 * DAY)
    house.sweep().run(house.pace())
    house.age(TTL + 1)
    house.sweep().run(house.pace())
    assert not house.has("app", digest)
    assert house.tags.names(RepositoryName("app")) == []


def test_what_a_clock_that_ran_ahead_has_announced_or_condemned_goes_too(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.links.refer(Kind.LAYER, _REPOSITORY, Digest.of(_LAYER))
    house.blobs.put(Digest.of(_MANIFEST), _MANIFEST)
    house.blobs.condemn(Digest.of(_MANIFEST), house.claims.now())
    house.age(-365 * DAY)
    house.sweep().run(house.pace())
    house.trash.empty(house.pace())
    assert house.files() == set()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"ttl": 7}', b'{"ttl": {"": "x"}}', b"\xff"])
def test_a_record_of_former_lives_that_cannot_be_read_changes_nothing(
    tmp_path: Path, content: bytes
) -> None:
    house = House(tmp_path)
    house.fill("library/app", _LAYER)
    Path(house.layout.adopted).write_bytes(content)
    house.sweep().run(house.pace())
    assert house.broker.published == []
    assert house.adoption.last_lives() == {"": TTL}
