"""Tags and lists of tags."""

import os
import threading
import time
from pathlib import Path

import pytest

from common.digest import Digest
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import TagLists, Tags

_REPOSITORY = RepositoryName("org/app")
_TAG = Tag("v1")
_ONE = Digest.of(b"one")
_TWO = Digest.of(b"two", "sha512")
_LONG_AGO = 1_000_000.0


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def tags(layout: Layout) -> Tags:
    return Tags(layout)


def _age(path: str) -> None:
    os.utime(path, (_LONG_AGO, _LONG_AGO))


def test_an_unknown_tag_is_none(tags: Tags) -> None:
    assert tags.read(_REPOSITORY, _TAG) is None
    assert tags.names(_REPOSITORY) == []


def test_a_tag_points_where_it_was_last_pointed(tags: Tags, layout: Layout) -> None:
    for digest in (_ONE, _TWO):
        tags.point(_REPOSITORY, _TAG, digest)
        stored = tags.read(_REPOSITORY, _TAG)
        assert stored is not None
        assert stored.digest == digest
        assert stored.confirmed == pytest.approx(time.time(), abs=60)
    assert Path(layout.tag_current(_REPOSITORY, _TAG)).read_bytes() == _TWO.encode()
    assert Path(layout.tag_index(_REPOSITORY, _TAG, _ONE)).read_bytes() == _ONE.encode()


def test_confirming_a_tag_is_no_use_of_it(tags: Tags, layout: Layout) -> None:
    tags.point(_REPOSITORY, _TAG, _ONE)
    _age(layout.tag_current(_REPOSITORY, _TAG))
    _age(layout.tag_index(_REPOSITORY, _TAG, _ONE))
    tags.point(_REPOSITORY, _TAG, _ONE)
    stored = tags.read(_REPOSITORY, _TAG)
    assert stored is not None
    assert stored.used == _LONG_AGO
    assert stored.confirmed == pytest.approx(time.time(), abs=60)


def test_using_a_tag_does_not_confirm_it(tags: Tags, layout: Layout) -> None:
    tags.point(_REPOSITORY, _TAG, _ONE)
    _age(layout.tag_current(_REPOSITORY, _TAG))
    _age(layout.tag_index(_REPOSITORY, _TAG, _ONE))
    tags.mark(_REPOSITORY, _TAG)
    stored = tags.read(_REPOSITORY, _TAG)
    assert stored is not None
    assert stored.used == pytest.approx(time.time(), abs=60)
    assert stored.confirmed == _LONG_AGO


def test_a_tag_pointed_back_is_confirmed_anew(tags: Tags, layout: Layout) -> None:
    tags.point(_REPOSITORY, _TAG, _ONE)
    _age(layout.tag_index(_REPOSITORY, _TAG, _ONE))
    tags.point(_REPOSITORY, _TAG, _TWO)
    tags.point(_REPOSITORY, _TAG, _ONE)
    stored = tags.read(_REPOSITORY, _TAG)
    assert stored is not None
    assert stored.confirmed == pytest.approx(time.time(), abs=60)


def test_a_tag_of_another_registry_without_index_was_never_confirmed(
    tags: Tags, layout: Layout
) -> None:
    current = Path(layout.tag_current(_REPOSITORY, _TAG))
    current.parent.mkdir(parents=True)
    current.write_text(_ONE + "\n")
    stored = tags.read(_REPOSITORY, _TAG)
    assert stored is not None
    assert (stored.digest, stored.confirmed) == (_ONE, 0.0)


@pytest.mark.parametrize("content", [b"", b"sha256:cut", b"\xff" * 71, b"a" * 4096])
def test_a_damaged_tag_is_none_until_it_is_pointed_again(
    tags: Tags, layout: Layout, content: bytes
) -> None:
    tags.point(_REPOSITORY, _TAG, _ONE)
    Path(layout.tag_current(_REPOSITORY, _TAG)).write_bytes(content)
    assert tags.read(_REPOSITORY, _TAG) is None
    tags.point(_REPOSITORY, _TAG, _ONE)
    stored = tags.read(_REPOSITORY, _TAG)
    assert stored is not None
    assert stored.digest == _ONE


def test_a_removed_tag_leaves_nothing_behind(tags: Tags, layout: Layout) -> None:
    tags.point(_REPOSITORY, _TAG, _ONE)
    tags.point(_REPOSITORY, _TAG, _TWO)
    tags.point(_REPOSITORY, Tag("v2"), _ONE)
    tags.remove(_REPOSITORY, _TAG)
    assert tags.read(_REPOSITORY, _TAG) is None
    assert tags.names(_REPOSITORY) == ["v2"]
    tags.remove(_REPOSITORY, Tag("v2"))
    assert list(Path(layout.repositories).iterdir()) == []
    tags.remove(_REPOSITORY, Tag("v2"))


def test_names_are_sorted_and_tags_alone(tags: Tags, layout: Layout) -> None:
    for name in ("b", "B", "a.1", "a"):
        tags.point(_REPOSITORY, Tag(name), _ONE)
    (Path(layout.tags(_REPOSITORY)) / ".nfs0001").touch()
    assert tags.names(_REPOSITORY) == ["B", "a", "a.1", "b"]


def test_pointing_beside_removing_ends_with_a_whole_tag_or_none(tags: Tags, layout: Layout) -> None:
    failures: list[BaseException] = []
    ended = threading.Event()

    def remove() -> None:
        try:
            while not ended.wait(0.005):
                tags.remove(_REPOSITORY, _TAG)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for _ in range(60):
            tags.point(_REPOSITORY, _TAG, _ONE)
            stored = tags.read(_REPOSITORY, _TAG)
            assert stored is None or stored.digest == _ONE
    finally:
        ended.set()
        remover.join()
    assert failures == []
    tags.point(_REPOSITORY, _TAG, _ONE)
    assert tags.read(_REPOSITORY, _TAG) is not None


def test_a_list_is_read_as_it_was_heard(layout: Layout) -> None:
    lists = TagLists(layout)
    assert lists.read(_REPOSITORY) is None
    lists.write(_REPOSITORY, [Tag("b"), Tag("a")])
    listed = lists.read(_REPOSITORY)
    assert listed is not None
    assert (listed.tags, listed.whole) == (["a", "b"], True)
    assert listed.heard == pytest.approx(time.time(), abs=60)


def test_a_long_list_is_kept_in_stretches(layout: Layout) -> None:
    lists = TagLists(layout)
    lists.write(_REPOSITORY, [Tag("b"), Tag("a")], whole=False)
    assert lists.read(_REPOSITORY, Tag("b")) is None
    lists.write(_REPOSITORY, [Tag("c")], after=Tag("b"))
    first, second = lists.read(_REPOSITORY), lists.read(_REPOSITORY, Tag("b"))
    assert first is not None
    assert second is not None
    assert (first.tags, first.whole) == (["a", "b"], False)
    assert (second.tags, second.whole) == (["c"], True)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{}", b'{"tags": ["../x"]}', b'{"tags": 1}', b"\xff"]
)
def test_a_damaged_list_was_never_heard(layout: Layout, content: bytes) -> None:
    lists = TagLists(layout)
    lists.write(_REPOSITORY, [Tag("a")])
    Path(layout.tag_list(_REPOSITORY)).write_bytes(content)
    assert lists.read(_REPOSITORY) is None
