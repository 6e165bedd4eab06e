"""The walk over repositories, compared with sorting all of them."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from common.paths import Layout
from common.repositories import repositories

_COMPONENT = st.sampled_from(["a", "aa", "a-b", "a.b", "b", "b0", "z"])
_NAMES = st.lists(_COMPONENT, min_size=1, max_size=3).map("/".join)


def folders(root: str, names: Iterable[str]) -> Layout:
    layout = Layout(root)
    for name in names:
        Path(f"{layout.repositories}/{name}/_manifests").mkdir(parents=True)
    return layout


@given(st.sets(_NAMES, max_size=12), _NAMES | st.just(""))
def test_names_come_in_order_from_wherever_the_walk_begins(names: set[str], after: str) -> None:
    with TemporaryDirectory() as root:
        found = list(repositories(folders(root, names), after))
    expected = sorted(names, key=lambda name: name.split("/"))
    assert found == [name for name in expected if not after or name.split("/") > after.split("/")]


@given(st.sets(_NAMES, max_size=12), st.integers(1, 4))
def test_pages_put_together_are_the_whole(names: set[str], size: int) -> None:
    found: list[str] = []
    with TemporaryDirectory() as root:
        layout = folders(root, names)
        while page := list(islice(repositories(layout, found[-1] if found else ""), size)):
            found += page
    assert found == sorted(names, key=lambda name: name.split("/"))


def test_no_name_is_longer_than_a_name_may_be(tmp_path: Path) -> None:
    long = "/".join(["a" * 60] * 5)
    layout = folders(str(tmp_path), [long, "b"])
    assert list(repositories(layout)) == ["b"]


# Folders are made for each example, at whatever pace the disk has now.
@settings(deadline=None)
@given(st.sets(_NAMES, max_size=12), st.sets(_NAMES, max_size=3), _NAMES, _NAMES | st.just(""))
def test_a_part_of_the_tree_is_the_whole_without_the_rest(
    names: set[str], but: set[str], below: str, after: str
) -> None:
    with TemporaryDirectory() as root:
        layout = folders(root, names)
        every = list(repositories(layout, after))
        inner = list(repositories(layout, after, below=below))
        outer = list(repositories(layout, after, but=but))
    if not after or after.startswith(f"{below}/"):
        assert inner == [name for name in every if name.startswith(f"{below}/")]
    assert outer == [name for name in every if not any(name.startswith(f"{x}/") for x in but)]
