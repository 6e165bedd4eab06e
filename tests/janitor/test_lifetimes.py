"""How long what is kept."""

import pytest

from common.reference import RepositoryName
from common.source import Source
from janitor.lifetimes import Lifetimes

_LIVES = Lifetimes({"": 100.0, "ghcr.io": None, "quay.io": 7.0, "quay.io/mirror": 9.0})


@pytest.mark.parametrize(
    ("stored", "upstream", "repository"),
    [
        ("library/alpine", "", "library/alpine"),
        ("ghcr.io/org/app", "ghcr.io", "org/app"),
        ("quay.io/app", "quay.io", "app"),
        ("quay.io/mirror/app", "quay.io/mirror", "app"),
        ("quay.io", "", "quay.io"),
        ("quay.iox/app", "", "quay.iox/app"),
        ("gone.io/app", "", "gone.io/app"),
    ],
)
def test_a_stored_name_tells_where_it_came_from(
    stored: str, upstream: str, repository: str
) -> None:
    source = _LIVES.source(RepositoryName(stored))
    assert source == Source(upstream, RepositoryName(repository))
    assert source.stored == stored


def test_each_upstream_has_its_own_life() -> None:
    assert _LIVES.of("") == 100.0
    assert _LIVES.of("quay.io") == 7.0
    assert _LIVES.of("ghcr.io") is None


def test_content_of_an_upstream_no_longer_configured_lives_as_the_defaults() -> None:
    assert _LIVES.of("gone.io") == 100.0
    assert Lifetimes({"": None}).of("gone.io") is None
    assert Lifetimes({"quay.io": 7.0}).of("gone.io") == 7 * 24 * 3600.0


def test_the_longest_life_is_known() -> None:
    assert _LIVES.longest() is None
    assert Lifetimes({"": 5.0, "a": 50.0}).longest() == 50.0
