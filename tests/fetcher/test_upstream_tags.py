"""Lists of tags: all pages of them, from home, within bounds."""

import json
from typing import Any

import pytest

from common.errors import UpstreamError
from common.reference import Tag
from fetcher import taglists
from fetcher.taglists import Stretch
from tests.fetcher.client import REPOSITORY, upstream
from tests.fetcher.recording import Reply, Seen, serving

PATH = f"/v2/{REPOSITORY}/tags/list"


def page(tags: Any, link: str = "") -> Reply:
    body = json.dumps({"name": REPOSITORY, "tags": tags}).encode()
    return Reply(body=body, headers={"Link": link} if link else {})


def stretch(*tags: str, whole: bool) -> Stretch:
    return Stretch([Tag(tag) for tag in tags], whole)


def test_all_pages_are_read_each_tag_once() -> None:
    pages = {
        None: page(["a", "b"], f'<{PATH}?last=b&n=2>; rel="next"'),
        "b": page(["b", "c"], f"<{PATH}?last=c&n=2>;rel=next"),
        "c": page(["d"], f'<{PATH}>; rel="first"'),
    }
    with serving(lambda seen: pages[seen.query.get("last", [None])[0]]) as server:
        with upstream(server.url) as client:
            assert client.tags(REPOSITORY) == stretch("a", "b", "c", "d", whole=True)
        assert [seen.path for seen in server.seen] == [PATH] * 3


@pytest.mark.parametrize(
    ("tags", "expected"), [(None, []), ([], []), (["a", "../b", 7, ""], ["a"])]
)
def test_only_valid_tags_are_told(tags: Any, expected: list[str]) -> None:
    with serving(lambda _: page(tags)) as server, upstream(server.url) as client:
        assert client.tags(REPOSITORY).tags == expected


def test_a_next_page_elsewhere_is_refused_unasked() -> None:
    with serving(lambda _: page(["b"])) as other:
        link = f'<{other.url}{PATH}?last=a>; rel="next"'
        with serving(lambda _: page(["a"], link)) as server, upstream(server.url) as client:
            with pytest.raises(UpstreamError, match="refused a next page") as caught:
                client.tags(REPOSITORY)
            assert not caught.value.retryable
        assert other.seen == []


def numbered(seen: Seen) -> Reply:
    """Three tags of an endless list in order, those behind `last`."""
    first = int(seen.query.get("last", ["t0000"])[0][1:]) + 1
    tags = [f"t{number:04}" for number in range(first, first + 3)]
    return page(tags, f'<{PATH}?last={tags[-1]}>; rel="next"')


def test_of_a_list_in_order_some_pages_are_enough_and_more_is_had_behind_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taglists, "ENOUGH_PAGES", 2)
    with serving(numbered) as server, upstream(server.url) as client:
        first = client.tags(REPOSITORY)
        assert first == stretch(*(f"t{number:04}" for number in range(1, 7)), whole=False)
        second = client.tags(REPOSITORY, first.tags[-1])
        assert second == stretch(*(f"t{number:04}" for number in range(7, 13)), whole=False)
        assert len(server.seen) == 4


def test_a_list_that_ends_where_it_would_be_enough_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taglists, "ENOUGH_PAGES", 1)
    with serving(lambda _: page(["a", "b"])) as server, upstream(server.url) as client:
        assert client.tags(REPOSITORY) == stretch("a", "b", whole=True)


def test_of_a_list_in_another_order_all_pages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taglists, "ENOUGH_PAGES", 1)
    pages = {
        None: page(["c", "a"], f"<{PATH}?last=a>; rel=next"),
        "a": page(["b"]),
    }
    with (
        serving(lambda seen: pages[seen.query.get("last", [None])[0]]) as server,
        upstream(server.url) as client,
    ):
        assert client.tags(REPOSITORY) == stretch("c", "a", "b", whole=True)


def test_behind_a_tag_only_what_comes_behind_it_counts() -> None:
    with serving(lambda _: page(["a", "b", "c"])) as server, upstream(server.url) as client:
        assert client.tags(REPOSITORY, Tag("b")) == stretch("c", whole=True)
        assert server.seen[0].query == {"last": ["b"]}


def test_of_pages_without_end_so_many_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taglists, "MAX_PAGES", 7)

    def endless(seen: Seen) -> Reply:
        return page(["b", "a"], f'<{PATH}?last={seen.query.get("last", ["a"])[0]}a>; rel="next"')

    with serving(endless) as server, upstream(server.url) as client:
        assert client.tags(REPOSITORY) == stretch("b", "a", whole=False)
        assert len(server.seen) == 7


def test_of_pages_without_end_that_bring_nothing_there_is_no_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taglists, "MAX_PAGES", 7)

    def endless(seen: Seen) -> Reply:
        return page([], f'<{PATH}?last={seen.query.get("last", ["a"])[0]}a>; rel="next"')

    with (
        serving(endless) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="more than 7 pages"),
    ):
        client.tags(REPOSITORY)


def test_the_bytes_of_all_pages_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taglists, "LIST_BYTES", 1000)

    def long(seen: Seen) -> Reply:
        following = len(seen.query.get("page", [""])[0]) * "x" + "x"
        return page(["a" * 100] * 3, f'<{PATH}?page={following}>; rel="next"')

    with serving(long) as server, upstream(server.url) as client:
        assert client.tags(REPOSITORY) == stretch("a" * 100, whole=False)
        assert len(server.seen) == 3


@pytest.mark.parametrize("link", ["<http://[::1>; rel=next", "<ftp://a.test/>; rel=next"])
def test_a_next_page_at_no_url_is_an_upstream_error(link: str) -> None:
    with (
        serving(lambda _: page(["a"], link)) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="next page"),
    ):
        client.tags(REPOSITORY)


def test_pages_in_a_circle_are_noticed() -> None:
    def circle(seen: Seen) -> Reply:
        return page(["a"], f'<{PATH}{"" if seen.query else "?last=a"}>; rel="next"')

    with serving(circle) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="circle"):
            client.tags(REPOSITORY)
        assert len(server.seen) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tags": 7}', b"[" * 100_000])
def test_a_list_that_makes_no_sense_is_an_upstream_error(body: bytes) -> None:
    with (
        serving(lambda _: Reply(body=body)) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="makes no sense"),
    ):
        client.tags(REPOSITORY)


def test_a_repository_that_does_not_exist_is_404() -> None:
    with serving(lambda _: Reply(404)) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError) as caught:
            client.tags(REPOSITORY)
        error = caught.value
        assert (error.status, error.code, error.retryable) == (404, "NAME_UNKNOWN", False)
