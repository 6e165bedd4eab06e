"""Repository names and tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInput, InvalidName, InvalidTag
from common.reference import MAX_NAME, RepositoryName, Tag
from common.source import Source


@pytest.mark.parametrize(
    "name",
    ["a", "library/alpine", "a/b/c/d", "a.b_c-d", "a__b", "a--b", "a---b", "0", "a" * MAX_NAME],
)
def test_names_of_the_specification_are_accepted(name: str) -> None:
    assert RepositoryName(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "_layers",
        "a/_manifests",
        "A",
        "a b",
        "a\n",
        "a\x00",
        "a%2fb",
        "ä",
        "a" * (MAX_NAME + 1),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        RepositoryName(name)


@pytest.mark.parametrize("tag", ["latest", "_", "1.2.3", "V1", "a" * 128, "a-b.c_d"])
def test_tags_of_the_specification_are_accepted(tag: str) -> None:
    assert Tag(tag) == tag


@pytest.mark.parametrize(
    "tag", ["", ".", "..", "-a", ".a", "a/b", "a:b", "a\n", "a b", "ü", "a" * 129, "sha256:ab"]
)
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(InvalidTag):
        Tag(tag)


@given(st.text())
def test_no_accepted_text_can_leave_a_folder(text: str) -> None:
    for kind in (RepositoryName, Tag):
        try:
            accepted = kind(text)
        except InvalidInput:
            continue
        parts = accepted.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert accepted.isascii()
        assert "\x00" not in accepted


def test_the_default_upstreams_repositories_are_stored_without_prefix() -> None:
    assert Source("", RepositoryName("library/alpine")).stored == "library/alpine"


def test_a_named_upstreams_repositories_are_stored_below_its_name() -> None:
    assert Source("ghcr.io", RepositoryName("org/app")).stored == "ghcr.io/org/app"


def test_name_and_upstream_together_must_be_a_name_too() -> None:
    long = RepositoryName("a" * MAX_NAME)
    with pytest.raises(InvalidName):
        _ = Source("ghcr.io", long).stored
    with pytest.raises(InvalidName):
        _ = Source("..", RepositoryName("a")).stored
