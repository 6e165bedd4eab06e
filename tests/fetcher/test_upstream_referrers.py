"""Lists of referrers: from the API, or from the tag that stands in for it."""

import json
from typing import Any

import pytest

from common.digest import Digest
from common.errors import UpstreamError
from common.mediatypes import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST
from fetcher import referrers
from tests.fetcher.client import REPOSITORY, upstream
from tests.fetcher.recording import Reply, Seen, serving

SUBJECT = Digest.of(b"subject")
PATH = f"/v2/{REPOSITORY}/referrers/{SUBJECT}"
TAG_PATH = f"/v2/{REPOSITORY}/manifests/{SUBJECT.replace(':', '-')}"


def descriptor(number: int, **more: Any) -> dict[str, Any]:
    digest = Digest.of(str(number).encode())
    return {"mediaType": OCI_MANIFEST, "digest": digest, "size": number, **more}


LISTED = [descriptor(2, artifactType="a/b"), descriptor(1, annotations={"x": "ü"}), descriptor(3)]


def index(manifests: Any, link: str = "", media_type: str = OCI_INDEX) -> Reply:
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})
    headers = {"Content-Type": media_type, **({"Link": link} if link else {})}
    return Reply(body=body.encode(), headers=headers)


def at_tag(reply: Reply, api: Reply) -> Any:
    """An upstream that says `api` to the API and has `reply` at the tag."""
    return lambda seen: reply if seen.path == TAG_PATH else api


def test_the_apis_list_is_taken_as_it_is_and_in_its_order() -> None:
    with serving(lambda _: index(LISTED)) as server, upstream(server.url) as client:
        assert client.referrers(REPOSITORY, SUBJECT) == LISTED
        (seen,) = server.seen
        assert (seen.path, seen.headers["accept"]) == (PATH, OCI_INDEX)
        assert not seen.query


@pytest.mark.parametrize("listed", [[], None])
def test_an_empty_list_is_an_answer_and_no_tag_is_asked_for(listed: Any) -> None:
    with serving(lambda _: index(listed)) as server, upstream(server.url) as client:
        assert client.referrers(REPOSITORY, SUBJECT) == []
        assert len(server.seen) == 1


def test_all_pages_are_read() -> None:
    pages = {
        None: index(LISTED[:1], f'<{PATH}?next=1>; rel="next"'),
        "1": index(LISTED[1:2], f"<{PATH}?next=2>;rel=next"),
        "2": index(LISTED[2:]),
    }
    with serving(lambda seen: pages[seen.query.get("next", [None])[0]]) as server:
        with upstream(server.url) as client:
            assert client.referrers(REPOSITORY, SUBJECT) == LISTED
        assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 404, 405, 406, 410])
def test_without_the_api_the_tag_is_asked_for(status: int) -> None:
    with serving(at_tag(index(LISTED), Reply(status))) as server, upstream(server.url) as client:
        assert client.referrers(REPOSITORY, SUBJECT) == LISTED
        assert server.seen[-1].headers["accept"] == OCI_INDEX


def test_a_page_for_every_path_is_no_api() -> None:
    page = Reply(body=b"<html></html>", headers={"Content-Type": "text/html"})
    with serving(at_tag(index(LISTED), page)) as server, upstream(server.url) as client:
        assert client.referrers(REPOSITORY, SUBJECT) == LISTED


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404),
        Reply(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'),
        Reply(body=b'{"schemaVersion": 2, "config": {}, "layers": []}'),
        Reply(body=b'{"schemaVersion": 1}'),
        index(7),
        index([7, {}, {"digest": "sha256:short", "mediaType": "a/b"}]),
        index([{"digest": SUBJECT}]),
    ],
)
def test_a_tag_that_lists_nothing_valid_means_there_is_nothing(reply: Reply) -> None:
    with serving(at_tag(reply, Reply(404))) as server, upstream(server.url) as client:
        assert client.referrers(REPOSITORY, SUBJECT) == []


def test_the_tag_for_a_sha512_subject_is_cut_short() -> None:
    subject = Digest.of(b"subject", "sha512")
    assert referrers.schema_tag(subject) == f"sha512-{subject.hex[:64]}"
    assert referrers.schema_tag(SUBJECT) == f"sha256-{SUBJECT.hex}"


@pytest.mark.parametrize(("answered", "status"), [(403, 403), (401, 403), (500, 502), (429, 503)])
def test_an_api_that_fails_is_no_reason_to_look_elsewhere(answered: int, status: int) -> None:
    with serving(at_tag(index(LISTED), Reply(answered))) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError) as caught:
            client.referrers(REPOSITORY, SUBJECT)
        assert caught.value.status == status
        assert not [seen for seen in server.seen if seen.path == TAG_PATH]


@pytest.mark.parametrize(("answered", "status"), [(403, 403), (500, 502)])
def test_a_tag_that_cannot_be_had_is_an_error(answered: int, status: int) -> None:
    """Not an empty list: nobody knows whether there is a signature."""
    with (
        serving(at_tag(Reply(answered), Reply(404))) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError) as caught,
    ):
        client.referrers(REPOSITORY, SUBJECT)
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{}", b'{"manifests": 7}', b"[" * 100_000])
def test_a_list_that_makes_no_sense_is_an_upstream_error(body: bytes) -> None:
    reply = Reply(body=body, headers={"Content-Type": OCI_INDEX})
    with (
        serving(lambda _: reply) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="makes no sense"),
    ):
        client.referrers(REPOSITORY, SUBJECT)


def test_a_next_page_elsewhere_is_refused_unasked() -> None:
    with serving(lambda _: index(LISTED)) as other:
        first = index(LISTED, f'<{other.url}{PATH}?page=2>; rel="next"')
        with serving(lambda _: first) as server, upstream(server.url) as client:
            with pytest.raises(UpstreamError, match="refused a next page") as caught:
                client.referrers(REPOSITORY, SUBJECT)
            assert not caught.value.retryable
        assert other.seen == []


def test_pages_without_end_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrers, "MAX_PAGES", 5)

    def endless(seen: Seen) -> Reply:
        page = len(seen.query.get("page", [""])[0])
        return index(LISTED, f'<{PATH}?page={"x" * (page + 1)}>; rel="next"')

    with serving(endless) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="more than 5 pages"):
            client.referrers(REPOSITORY, SUBJECT)
        assert len(server.seen) == 5


@pytest.mark.parametrize("pages", [1, 3])
def test_what_would_not_fit_into_one_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setattr(referrers, "LIST_BYTES", 1000)

    def long(seen: Seen) -> Reply:
        page = int(seen.query.get("page", ["1"])[0])
        many = [descriptor(number) for number in range(12 // pages)]
        return index(many, f'<{PATH}?page={page + 1}>; rel="next"' if page < pages else "")

    with serving(long) as server, upstream(server.url) as client:
        with pytest.raises(UpstreamError, match="more than 1000 bytes") as caught:
            client.referrers(REPOSITORY, SUBJECT)
        assert not caught.value.retryable


def test_what_would_not_fit_when_written_anew_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrers, "LIST_BYTES", 1000)
    listed = [descriptor(1, annotations={"x": "ü" * 300})]
    body = json.dumps({"manifests": listed}, ensure_ascii=False).encode()
    assert len(body) < 1000
    reply = Reply(body=body, headers={"Content-Type": OCI_INDEX})
    with (
        serving(lambda _: reply) as server,
        upstream(server.url) as client,
        pytest.raises(UpstreamError, match="more than 1000 bytes"),
    ):
        client.referrers(REPOSITORY, SUBJECT)


def test_dockers_list_at_the_tag_is_taken_for_an_index() -> None:
    reply = index(LISTED, media_type=DOCKER_LIST)
    with serving(at_tag(reply, Reply(404))) as server, upstream(server.url) as client:
        assert client.referrers(REPOSITORY, SUBJECT) == LISTED
