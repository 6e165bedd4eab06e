"""Which repositories an upstream may give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.reference import RepositoryName
from common.rules import Rules, is_pattern

NAMES = st.from_regex(r"[a-c]{1,3}(/[a-c]{1,3}){0,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("org/app", ["org/app"], ["org/app2", "org", "org/app/x", "x/org/app"]),
        ("org/*", ["org/app", "org/a.b-c"], ["org", "org/team/app", "organ/app"]),
        ("*/app", ["org/app"], ["app", "org/team/app"]),
        ("or*/a*p", ["org/app", "or/ap"], ["o/app", "org/team/app"]),
        ("org/**", ["org/app", "org/team/app"], ["org", "organ/app"]),
        ("**/app", ["app", "org/app", "org/team/app"], ["org/my-app2", "myapp"]),
        ("**", ["app", "org/app"], []),
        ("org/**/app", ["org/team/app", "org/a/b/app"], ["org/app", "app"]),
        ("org**", ["org", "org/app", "organ/app"], ["x/org"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_a_pattern_matches_these_and_not_those(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    rules = Rules(allow=(pattern,))
    assert is_pattern(pattern)
    assert [name for name in matching + others if rules.permit(RepositoryName(name))] == matching


def test_everything_is_allowed_where_nothing_is_said() -> None:
    rules = Rules()
    assert not rules
    assert rules.permit(RepositoryName("org/app"))


def test_what_is_denied_is_denied_also_where_it_is_allowed() -> None:
    rules = Rules(allow=("org/**", "library/*"), deny=("**/secret", "org/team/*"))
    allowed = ["org/app", "library/alpine"]
    refused = ["org/secret", "org/team/app", "library/secret", "other/app"]
    assert rules
    assert [name for name in allowed + refused if rules.permit(RepositoryName(name))] == allowed


def test_without_allow_all_is_allowed_that_is_not_denied() -> None:
    rules = Rules(deny=("org/*",))
    assert not rules.permit(RepositoryName("org/app"))
    assert rules.permit(RepositoryName("other/app"))


@pytest.mark.parametrize("text", ["", "/a", "a/", "a//b", "A/b", "a?", "[ab]", "a b", "a:b", "!a"])
def test_these_are_no_patterns(text: str) -> None:
    assert not is_pattern(text)


@given(NAMES)
def test_a_name_as_a_pattern_matches_itself_alone(name: str) -> None:
    rules = Rules(allow=(name,))
    assert rules.permit(RepositoryName(name))
    assert not rules.permit(RepositoryName(f"{name}/x"))
    assert not rules.permit(RepositoryName(f"x/{name}"))
