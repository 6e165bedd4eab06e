"""Which upstream a request means, however it says so."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInput, InvalidName
from common.rules import Rules
from common.source import Source
from frontend.naming import Denied, Naming, UnknownNamespace, naming

HUB = "https://registry-1.docker.io"
PACKAGED = naming({"": HUB, "ghcr.io": "https://ghcr.io", "quay.io": "https://quay.io"})
NAMED_HUB = naming({"": "https://registry.corp.example", "docker.io": "https://index.docker.io"})


def resolved(names: Naming, name: str, namespace: str | None = None) -> tuple[str, str]:
    source = names.resolve(name, namespace)
    return source.upstream, source.repository


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("alpine", None),
        ("library/alpine", None),
        ("docker.io/alpine", None),
        ("docker.io/library/alpine", None),
        ("index.docker.io/library/alpine", None),
        ("alpine", "docker.io"),
        ("library/alpine", "docker.io"),
        ("library/alpine", "registry-1.docker.io"),
        ("library/alpine", "index.docker.io"),
        ("docker.io/alpine", "docker.io"),
        ("docker.io/library/alpine", "docker.io"),
    ],
)
def test_docker_hub_as_the_default_is_one_repository_by_all_its_names(
    name: str, namespace: str | None
) -> None:
    assert resolved(PACKAGED, name, namespace) == ("", "library/alpine")
    assert PACKAGED.resolve(name, namespace).stored == "library/alpine"


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("docker.io/alpine", None),
        ("docker.io/library/alpine", None),
        ("alpine", "docker.io"),
        ("library/alpine", "docker.io"),
        ("library/alpine", "registry-1.docker.io"),
        ("docker.io/library/alpine", "docker.io"),
    ],
)
def test_docker_hub_as_a_named_upstream_is_one_repository_too(
    name: str, namespace: str | None
) -> None:
    source = NAMED_HUB.resolve(name, namespace)
    assert (source.upstream, source.repository) == ("docker.io", "library/alpine")
    assert source.stored == "docker.io/library/alpine"


def test_docker_hub_under_another_name_is_still_called_docker_io() -> None:
    names = naming({"": "https://registry.corp.example", "hub": HUB})
    for name, namespace in (("alpine", "docker.io"), ("docker.io/alpine", None), ("alpine", "hub")):
        assert resolved(names, name, namespace) == ("hub", "library/alpine")


def test_of_two_accounts_at_docker_hub_neither_is_called_docker_io() -> None:
    names = naming({"one": HUB, "two": HUB})
    with pytest.raises(UnknownNamespace):
        names.resolve("library/alpine", "docker.io")
    assert resolved(names, "one/alpine") == ("one", "library/alpine")


def test_only_docker_hub_has_official_images() -> None:
    assert resolved(NAMED_HUB, "alpine") == ("", "alpine")
    assert resolved(PACKAGED, "ghcr.io/alpine") == ("ghcr.io", "alpine")
    assert resolved(PACKAGED, "alpine", "ghcr.io") == ("ghcr.io", "alpine")


@pytest.mark.parametrize(
    ("name", "namespace"),
    [("ghcr.io/org/app", None), ("org/app", "ghcr.io"), ("ghcr.io/org/app", "ghcr.io")],
)
def test_a_named_upstream_is_meant_by_prefix_by_ns_or_by_both(
    name: str, namespace: str | None
) -> None:
    assert resolved(PACKAGED, name, namespace) == ("ghcr.io", "org/app")


def test_ns_goes_before_a_prefix_of_another_name() -> None:
    assert resolved(PACKAGED, "ghcr.io/org/app", "quay.io") == ("quay.io", "ghcr.io/org/app")


def test_the_default_upstream_is_also_called_by_its_host() -> None:
    assert resolved(NAMED_HUB, "org/app", "registry.corp.example") == ("", "org/app")
    assert resolved(NAMED_HUB, "registry.corp.example/org/app") == ("", "org/app")


def test_a_host_without_a_dot_is_no_prefix() -> None:
    names = naming({"": "https://registry", "ghcr.io": "https://ghcr.io"})
    assert resolved(names, "registry/app") == ("", "registry/app")
    assert resolved(names, "app", "registry") == ("", "app")


@pytest.mark.parametrize("namespace", ["ghcr.io", "anything.example:5000"])
def test_with_one_upstream_alone_another_ns_is_unknown_too(namespace: str) -> None:
    # Docker Hub's org/app is not what a client means that says ghcr.io.
    with pytest.raises(UnknownNamespace):
        naming({"": HUB}).resolve("org/app", namespace)


def test_a_named_upstream_is_also_called_by_its_host_with_the_port() -> None:
    names = naming({"": HUB, "priv": "https://priv.example:5443", "b": "http://b.example"})
    assert resolved(names, "org/app", "priv.example:5443") == ("priv", "org/app")
    assert resolved(names, "b.example/org/app") == ("b", "org/app")


def test_a_host_of_two_named_upstreams_means_neither() -> None:
    names = naming({"one": "https://x.example", "two": "https://x.example"})
    with pytest.raises(UnknownNamespace):
        names.resolve("org/app", "x.example")


def test_what_an_upstream_is_configured_to_be_called_means_it() -> None:
    names = naming(
        {"": "https://proxy.corp.example", "ghcr.io": "https://ghcr.io"},
        namespaces={"": ("docker.io", "hub.corp.example:8443")},
    )
    for namespace in ("docker.io", "hub.corp.example:8443"):
        assert resolved(names, "library/app", namespace) == ("", "library/app")
    assert resolved(names, "docker.io/library/app") == ("", "library/app")


@pytest.mark.parametrize("namespace", ["evil.example", "ghcr.io.evil.example", "GHCR.IO", "."])
def test_an_unknown_ns_is_none_of_the_upstreams(namespace: str) -> None:
    with pytest.raises(UnknownNamespace):
        PACKAGED.resolve("org/app", namespace)


def test_without_a_default_a_name_without_a_prefix_means_nothing() -> None:
    names = naming({"ghcr.io": "https://ghcr.io"})
    for name in ("org/app", "app", "quay.io/org/app"):
        with pytest.raises(UnknownNamespace):
            names.resolve(name, None)


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("ghcr.io/org/app", "docker.io"),
        ("docker.io/ghcr.io/org/app", None),
        ("docker.io/ghcr.io/org/app", "docker.io"),
    ],
)
def test_the_default_upstream_never_answers_for_a_named_one(
    name: str, namespace: str | None
) -> None:
    # It would be stored under the other's name, and served to those who ask the other.
    with pytest.raises(UnknownNamespace):
        PACKAGED.resolve(name, namespace)


def test_a_name_that_is_too_long_with_its_prefix_is_invalid() -> None:
    name = "a" * 255
    assert resolved(PACKAGED, f"x/{'a' * 253}") == ("", f"x/{'a' * 253}")
    for namespace in ("ghcr.io", "docker.io"):  # the second becomes library/…
        with pytest.raises(InvalidName):
            PACKAGED.resolve(name, namespace)


def test_rules_are_about_the_name_at_the_upstream() -> None:
    names = naming(
        {"": HUB, "ghcr.io": "https://ghcr.io"},
        {"": Rules(allow=("library/*",)), "ghcr.io": Rules(deny=("evil/**",))},
    )
    assert resolved(names, "alpine") == ("", "library/alpine")
    assert resolved(names, "ghcr.io/org/app") == ("ghcr.io", "org/app")
    for name, namespace in (
        ("org/app", None),
        ("docker.io/org/app", None),
        ("org/app", "docker.io"),
        ("ghcr.io/evil/app", None),
        ("evil/team/app", "ghcr.io"),
    ):
        with pytest.raises(Denied):
            names.resolve(name, namespace)
        assert names.locate(name, namespace).repository == name.removeprefix(
            "docker.io/"
        ).removeprefix("ghcr.io/")


NAMES = ("", "docker.io", "ghcr.io", "hub", "registry.corp.example", "a")
URLS = (
    HUB,
    "https://ghcr.io",
    "https://registry.corp.example",
    "https://a",
    "https://b.example:5000",
)
COMPONENTS = st.sampled_from(
    (*NAMES[1:], "index.docker.io", "registry-1.docker.io", "library", "b", "alpine")
)


@dataclass(frozen=True)
class Asked:
    name: str
    namespace: str | None


ASKED = st.builds(
    Asked,
    st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join),
    st.none() | COMPONENTS | st.just("b.example:5000"),
)
UPSTREAMS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(URLS), min_size=1)


def found(names: Naming, asked: Asked) -> Source | None:
    try:
        return names.resolve(asked.name, asked.namespace)
    except InvalidInput:
        return None


@given(UPSTREAMS, st.lists(ASKED, min_size=2, max_size=20))
def test_no_two_repositories_share_a_name_in_storage(
    upstreams: dict[str, str], asked: list[Asked]
) -> None:
    names = naming(upstreams)
    stored: dict[str, Source] = {}
    for one in asked:
        source = found(names, one)
        if source is not None:
            assert source.upstream in upstreams
            assert stored.setdefault(source.stored, source) == source


@given(UPSTREAMS, ASKED)
def test_what_is_stored_is_found_by_its_own_name(upstreams: dict[str, str], asked: Asked) -> None:
    names = naming(upstreams)
    source = found(names, asked)
    if source is not None:
        assert found(names, Asked(source.stored, None)) == source
