"""Links, and the references beside them."""

import gc
import os
import time
from pathlib import Path

import pytest

from common.digest import Digest
from common.links import Links, Reference, is_older, mark_interval, touch
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName

_DIGEST = Digest.of(b"content")
_ONE = RepositoryName("org/one")
_TWO = RepositoryName("org/one/two")
_LONG_AGO = 1_000_000.0


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def links(layout: Layout) -> Links:
    return Links(layout)


def _referring(links: Links) -> set[Reference]:
    return {reference for reference, _ in links.references(_DIGEST)}


def test_a_link_is_written_as_distribution_writes_it(links: Links, layout: Layout) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    path = Path(layout.link(Kind.LAYER, _ONE, _DIGEST))
    assert path.read_bytes() == _DIGEST.encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_holds_for_its_repository_and_kind_alone(links: Links) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    assert links.has(Kind.LAYER, _ONE, _DIGEST)
    assert not links.has(Kind.MANIFEST, _ONE, _DIGEST)
    assert not links.has(Kind.LAYER, _TWO, _DIGEST)
    assert not links.has(Kind.LAYER, _ONE, Digest.of(b"other"))


def test_a_new_link_counts_as_used_now(links: Links, layout: Layout) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    os.utime(layout.link(Kind.LAYER, _ONE, _DIGEST), (_LONG_AGO, _LONG_AGO))
    assert links.last_use(Kind.LAYER, _ONE, _DIGEST) == _LONG_AGO
    links.add(Kind.LAYER, _ONE, _DIGEST)
    last_use = links.last_use(Kind.LAYER, _ONE, _DIGEST)
    assert last_use == pytest.approx(time.time(), abs=60)


def test_a_mark_is_the_last_use(links: Links, layout: Layout) -> None:
    links.add(Kind.MANIFEST, _ONE, _DIGEST)
    os.utime(layout.link(Kind.MANIFEST, _ONE, _DIGEST), (_LONG_AGO, _LONG_AGO))
    links.mark(Kind.MANIFEST, _ONE, _DIGEST)
    last_use = links.last_use(Kind.MANIFEST, _ONE, _DIGEST)
    assert last_use == pytest.approx(time.time(), abs=60)


def test_marking_a_link_that_is_gone_makes_none(links: Links) -> None:
    links.mark(Kind.LAYER, _ONE, _DIGEST)
    assert not links.has(Kind.LAYER, _ONE, _DIGEST)


def test_a_link_that_a_crash_left_empty_is_none(links: Links, layout: Layout) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    os.truncate(layout.link(Kind.LAYER, _ONE, _DIGEST), 0)
    assert links.last_use(Kind.LAYER, _ONE, _DIGEST) is None


def test_references_tell_all_who_link(links: Links) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    links.add(Kind.MANIFEST, _ONE, _DIGEST)
    links.add(Kind.LAYER, _TWO, _DIGEST)
    links.add(Kind.LAYER, _TWO, Digest.of(b"other"))
    assert _referring(links) == {
        Reference(Kind.LAYER, _ONE),
        Reference(Kind.MANIFEST, _ONE),
        Reference(Kind.LAYER, _TWO),
    }


def test_a_reference_is_there_before_its_link_and_tells_when_it_was_announced(
    links: Links, layout: Layout
) -> None:
    links.refer(Kind.LAYER, _ONE, _DIGEST)
    os.utime(layout.reference(Kind.LAYER, _ONE, _DIGEST), (_LONG_AGO, _LONG_AGO))
    assert list(links.references(_DIGEST)) == [(Reference(Kind.LAYER, _ONE), _LONG_AGO)]
    links.refer(Kind.LAYER, _ONE, _DIGEST)
    ((_, announced),) = links.references(_DIGEST)
    assert announced == pytest.approx(time.time(), abs=60)
    assert not links.has(Kind.LAYER, _ONE, _DIGEST)


def test_looking_at_the_first_reference_alone_leaves_no_folder_open(
    links: Links, layout: Layout
) -> None:
    for name in ("a", "b", "c"):
        links.add(Kind.LAYER, RepositoryName(name), _DIGEST)
    next(links.references(_DIGEST))
    gc.collect()  # a folder left open would be a ResourceWarning, and so an error, here
    opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert not [path for path in opened if path.startswith(os.path.realpath(layout.root))]


def test_damaged_references_are_passed_over(links: Links, layout: Layout) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    folder = Path(layout.references(_DIGEST))
    (folder / "layer.damaged").write_bytes(b"\xff\xfe")
    (folder / "layer.evil").write_bytes(b"../../etc")
    (folder / "unheard.of").write_bytes(b"org/one")
    assert _referring(links) == {Reference(Kind.LAYER, _ONE)}


def test_a_removed_link_leaves_nothing_behind(links: Links, layout: Layout) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    links.add(Kind.MANIFEST, _TWO, _DIGEST)
    assert links.remove(Kind.LAYER, _ONE, _DIGEST)
    assert links.has(Kind.MANIFEST, _TWO, _DIGEST)
    assert _referring(links) == {Reference(Kind.MANIFEST, _TWO)}
    assert links.remove(Kind.MANIFEST, _TWO, _DIGEST)
    assert list(Path(layout.repositories).iterdir()) == []
    assert not Path(layout.references(_DIGEST)).exists()
    assert not links.remove(Kind.MANIFEST, _TWO, _DIGEST)


def test_a_link_judged_unused_is_removed(links: Links, layout: Layout) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    judged = links.last_use(Kind.LAYER, _ONE, _DIGEST)
    assert links.remove(Kind.LAYER, _ONE, _DIGEST, unused_since=judged)
    assert list(Path(layout.temporary).iterdir()) == []
    assert not links.remove(Kind.LAYER, _ONE, _DIGEST, unused_since=judged)


def test_a_link_used_since_it_was_judged_stays_with_its_last_use(
    links: Links, layout: Layout
) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    last_use = links.last_use(Kind.LAYER, _ONE, _DIGEST)
    assert not links.remove(Kind.LAYER, _ONE, _DIGEST, unused_since=_LONG_AGO)
    assert links.last_use(Kind.LAYER, _ONE, _DIGEST) == last_use
    assert _referring(links) == {Reference(Kind.LAYER, _ONE)}
    assert list(Path(layout.temporary).iterdir()) == []


def test_a_reference_is_not_dropped_while_its_link_is_there(links: Links) -> None:
    links.add(Kind.LAYER, _ONE, _DIGEST)
    links.forget(Kind.LAYER, _ONE, _DIGEST)
    assert _referring(links) == {Reference(Kind.LAYER, _ONE)}


class _LinksWithGuest(Links):
    """Somebody else acts between our announcing a link and its being there."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.guest = Links(layout)

    def refer(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        super().refer(kind, repository, digest)
        if not self.guest.has(kind, repository, digest):
            self.guest.forget(kind, repository, digest)


def test_a_reference_dropped_while_its_link_was_being_written_is_back(layout: Layout) -> None:
    links = _LinksWithGuest(layout)
    links.add(Kind.LAYER, _ONE, _DIGEST)
    assert links.has(Kind.LAYER, _ONE, _DIGEST)
    assert _referring(links) == {Reference(Kind.LAYER, _ONE)}


def test_a_link_is_marked_ten_times_in_its_life_and_at_least_every_hour() -> None:
    assert mark_interval(100.0) == 10.0
    assert mark_interval(7 * 24 * 3600.0) == 3600.0
    assert mark_interval(None) == 3600.0


def test_with_a_size_limit_marks_are_as_fresh_as_the_file_system_allows() -> None:
    assert mark_interval(None, is_limited=True, is_local=True) == 0.1
    assert mark_interval(7 * 24 * 3600.0, is_limited=True, is_local=False) == 5.0
    assert mark_interval(0.5, is_limited=True, is_local=True) == 0.05


def test_age_is_counted_from_the_stamp() -> None:
    assert is_older(time.time() - 100, 90)
    assert not is_older(time.time() - 100, 200)


def test_touching_what_is_not_there_says_so(tmp_path: Path) -> None:
    assert not touch(str(tmp_path / "file"))
    assert not (tmp_path / "file").exists()
