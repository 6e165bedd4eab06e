"""The catalog: what is cached, in pages, without what is not a repository."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.paths import Layout
from common.repositories import repositories
from tests.frontend.playing import error_code, following
from tests.frontend.stage import Answer, Stage, stage

CATALOG = "/v2/_catalog"
MANIFEST = b'{"schemaVersion":2,"config":{},"layers":[]}'
# In the order of the tree: what is below a folder comes before what follows the folder.
NAMES = ["a", "a/b", "a/b/c", "a-b", "a.b", "ghcr.io/org/app", "library/alpine", "zoo"]


def fill(front: Stage) -> None:
    for name in NAMES:
        front.store_manifest(name, MANIFEST, "1")
    # Of another registry, or half removed: none of it a repository.
    for folder in ("_uploads/x/_manifests", "UPPER/_manifests", "layers-only/_layers", "empty"):
        Path(f"{front.layout.repositories}/{folder}").mkdir(parents=True)
    Path(f"{front.layout.repositories}/file").write_text("no folder")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    upstreams = [{"name": "ghcr.io", "remoteurl": "http://127.0.0.1:1"}]
    proxy = {"remoteurl": "http://127.0.0.1:1", "upstreams": upstreams}
    root = Path(tmp_path_factory.mktemp("catalog")) / "root"
    with stage(root, proxy=proxy, catalog={"maxentries": 5}) as opened:
        fill(opened)
        yield opened


def names_in(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    names: list[str] = json.loads(answer.body)["repositories"]
    return names


def test_what_is_cached_is_listed_named_upstreams_with_their_prefix(front: Stage) -> None:
    first = front.ask(CATALOG)
    path = following(first)
    assert path is not None
    assert names_in(first) + names_in(front.ask(path)) == NAMES


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_links_lead_through_all_pages(front: Stage, size: int) -> None:
    names, path = [], f"{CATALOG}?n={size}"
    while True:
        answer = front.ask(path)
        page = names_in(answer)
        names += page
        following_path = following(answer)
        if following_path is None:
            break
        assert len(page) == size
        path = following_path
    assert names == NAMES


@pytest.mark.parametrize("count", [5, 6, 1000, 10**18])
def test_no_answer_is_longer_than_configured(front: Stage, count: int) -> None:
    answer = front.ask(f"{CATALOG}?n={count}")
    assert names_in(answer) == NAMES[:5]
    assert following(answer) is not None


def test_cve_2023_2253_a_huge_n_costs_nothing(front: Stage) -> None:
    began = time.monotonic()
    assert len(names_in(front.ask(f"{CATALOG}?n=9223372036854775807"))) == 5
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("last", ["a/b", "a/b/", "a/bb", "a/b/c/d", "a", "", "../../etc", "zoo/x"])
def test_a_page_begins_after_last_whether_that_is_a_repository_or_not(
    front: Stage, last: str
) -> None:
    expected = [name for name in NAMES if name.split("/") > last.split("/") or not last]
    assert names_in(front.ask(f"{CATALOG}?last={last}")) == expected[:5]


def test_n_of_zero_is_an_empty_list_without_a_link(front: Stage) -> None:
    answer = front.ask(f"{CATALOG}?n=0")
    assert names_in(answer) == []
    assert following(answer) is None


@pytest.mark.parametrize("count", ["-1", "x", "1.5", "", "9" * 40])
def test_an_n_that_is_no_number_is_400(front: Stage, count: str) -> None:
    answer = front.ask(f"{CATALOG}?n={count}")
    if count:
        assert (answer.status, error_code(answer)) == (400, "UNSUPPORTED")
    else:
        assert names_in(answer) == NAMES[:5]


def test_an_empty_cache_has_an_empty_catalog(tmp_path: Path) -> None:
    with stage(tmp_path / "root") as front:
        assert names_in(front.ask(CATALOG)) == []


def test_what_no_name_leads_to_is_not_listed(tmp_path: Path) -> None:
    only_named = {"upstreams": [{"name": "ghcr.io", "remoteurl": "http://127.0.0.1:1"}]}
    with stage(tmp_path / "root", proxy={**only_named, "remoteurl": ""}) as front:
        fill(front)
        assert names_in(front.ask(CATALOG)) == ["ghcr.io/org/app"]


def test_folders_are_read_only_as_far_as_the_caller_goes(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    for number in range(50):
        Path(f"{layout.repositories}/org{number:02}/app/_manifests").mkdir(parents=True)
    walk = repositories(layout, "org10/app")
    assert next(walk) == "org11/app"
    # What has not been reached yet is still to be read.
    Path(f"{layout.repositories}/org12/aaa/_manifests").mkdir(parents=True)
    assert next(walk) == "org12/aaa"
