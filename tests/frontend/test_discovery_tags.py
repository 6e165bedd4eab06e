"""Tag lists: the upstream's, and what is given when it cannot be asked."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.messages import ListTags
from common.reference import RepositoryName, Tag
from tests.frontend.playing import Client, commit, error_code, fail, following
from tests.frontend.stage import Answer, Stage, age, stage

NAME = RepositoryName("library/alpine")
LIST = f"/v2/{NAME}/tags/list"
MANIFEST = b'{"schemaVersion":2,"config":{},"layers":[]}'


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Stage]:
    upstreams = [{"name": "ghcr.io", "remoteurl": "http://127.0.0.1:1"}]
    proxy = {"remoteurl": "http://127.0.0.1:1", "upstreams": upstreams}
    with stage(tmp_path / "root", proxy=proxy, tags={"maxtags": 3}) as opened:
        opened.play_fetcher()
        yield opened


@pytest.fixture
def client(front: Stage) -> Iterator[Client]:
    with ThreadPoolExecutor(4) as pool:
        yield Client(front, pool)


def heard(front: Stage, *tags: str, repository: str = NAME, ago: float = 0.0) -> None:
    """Have a list that the upstream gave so many seconds ago."""
    name = RepositoryName(repository)
    front.tag_lists.write(name, [Tag(tag) for tag in tags])
    age(front.layout.tag_list(name), ago)


def tags_in(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    tags: list[str] = json.loads(answer.body)["tags"]
    return tags


def test_a_list_heard_just_now_is_given_without_asking(front: Stage) -> None:
    heard(front, "b", "a", "B", "a-1")
    answer = front.ask(LIST)
    assert json.loads(answer.body) == {"name": NAME, "tags": ["B", "a", "a-1", "b"]}
    assert answer.headers["content-type"] == "application/json"
    assert front.jobs.empty()


def test_an_old_list_is_asked_for_again(front: Stage, client: Client) -> None:
    heard(front, "old", ago=3600)
    answer = client.ask(LIST)
    job = front.next_job()
    assert isinstance(job, ListTags)
    heard(front, "new")
    commit(front, job)
    assert tags_in(answer.result(20)) == ["new"]


def test_without_the_upstream_what_was_heard_and_what_is_stored_are_merged(
    front: Stage, client: Client
) -> None:
    heard(front, "1", "3", ago=3600)
    front.store_manifest(NAME, MANIFEST, "2")
    answer = client.ask(LIST)
    fail(front, front.next_job())
    got = answer.result(20)
    assert tags_in(got) == ["1", "2", "3"]
    assert got.headers["warning"].startswith("299 - ")


def test_a_list_that_could_not_be_had_is_not_asked_for_again_at_once(
    front: Stage, client: Client
) -> None:
    heard(front, "1", ago=3600)
    answer = client.ask(LIST)
    fail(front, front.next_job())
    assert tags_in(answer.result(20)) == ["1"]
    assert tags_in(front.ask(LIST)) == ["1"]
    assert front.jobs.empty()


def test_a_repository_the_upstream_does_not_know_is_404(front: Stage, client: Client) -> None:
    answer = client.ask(LIST)
    fail(front, front.next_job(), status=404, code="NAME_UNKNOWN", retryable=False)
    got = answer.result(20)
    assert (got.status, error_code(got)) == (404, "NAME_UNKNOWN")
    assert front.ask(LIST).status == 404
    assert front.jobs.empty()


@pytest.mark.parametrize(
    ("query", "tags", "more"),
    [
        ("", ["a", "b", "c", "d", "e"], False),
        ("?n=2", ["a", "b"], True),
        ("?n=2&last=b", ["c", "d"], True),
        ("?n=2&last=d", ["e"], False),
        ("?last=bb", ["c", "d", "e"], False),
        ("?last=z", [], False),
        ("?n=0", [], False),
        ("?n=5", ["a", "b", "c"], True),  # tags.maxtags
        ("?n=9999999999999999999", ["a", "b", "c"], True),
        ("?n=3&last=b", ["c", "d", "e"], False),
    ],
)
def test_pages_are_as_asked_for_and_bounded(
    front: Stage, query: str, tags: list[str], more: bool
) -> None:
    heard(front, "a", "b", "c", "d", "e")
    answer = front.ask(LIST + query)
    assert tags_in(answer) == tags
    assert (following(answer) is not None) == more


def test_links_lead_through_all_pages_and_keep_the_namespace(front: Stage) -> None:
    heard(front, "a", "b", "c", "d", "e", repository="ghcr.io/org/app")
    pages = []
    path: str | None = "/v2/org/app/tags/list?n=2&ns=ghcr.io"
    while path is not None:
        answer = front.ask(path)
        assert json.loads(answer.body)["name"] == "org/app"
        pages.append(tags_in(answer))
        path = following(answer)
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_links_keep_the_prefix(tmp_path: Path) -> None:
    with stage(tmp_path / "root", http={"prefix": "/mirror/"}) as front:
        heard(front, "a", "b")
        answer = front.ask(f"/mirror{LIST}?n=1")
        path = following(answer)
        assert path is not None
        assert tags_in(front.ask(path)) == ["b"]


def stretch(
    front: Stage, *tags: str, after: str | None = None, whole: bool = False, ago: float = 0.0
) -> None:
    """Have a part of a long list, heard so many seconds ago."""
    begins = None if after is None else Tag(after)
    front.tag_lists.write(NAME, [Tag(tag) for tag in tags], after=begins, whole=whole)
    age(front.layout.tag_list(NAME, begins), ago)


def test_of_a_long_list_what_is_known_is_given_with_a_link_onward(front: Stage) -> None:
    stretch(front, "a", "b")
    for query in ("", "?n=2", "?n=3"):
        answer = front.ask(LIST + query)
        assert tags_in(answer) == ["a", "b"]
        assert "last=b" in (following(answer) or "")
    assert front.jobs.empty()


def test_the_link_leads_on_to_what_the_upstream_has_behind_it(front: Stage, client: Client) -> None:
    stretch(front, "a", "b")
    path = following(front.ask(f"{LIST}?n=2"))
    assert path is not None
    answer = client.ask(path)
    job = front.next_job()
    assert isinstance(job, ListTags)
    assert job.after == "b"
    stretch(front, "c", "d", "e", after="b", whole=True)
    commit(front, job)
    got = answer.result(20)
    assert tags_in(got) == ["c", "d"]
    assert tags_in(front.ask(following(got) or "")) == ["e"]


def test_stretches_before_the_one_asked_for_need_not_be_fresh(front: Stage) -> None:
    stretch(front, "a", "b", ago=3600)
    stretch(front, "c", "d", after="b", ago=3600)
    stretch(front, "e", after="d", whole=True)
    assert tags_in(front.ask(f"{LIST}?last=d")) == ["e"]
    assert front.jobs.empty()


def test_without_the_upstream_a_stretch_is_given_as_it_was(front: Stage, client: Client) -> None:
    stretch(front, "a", "b", ago=3600)
    front.store_manifest(NAME, MANIFEST, "a-1")
    front.store_manifest(NAME, MANIFEST, "z")
    answer = client.ask(LIST)
    fail(front, front.next_job())
    got = answer.result(20)
    assert tags_in(got) == ["a", "a-1", "b"]
    assert "last=b" in (following(got) or "")
