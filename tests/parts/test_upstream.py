"""The upstream of the tests serves, counts and fails as it says."""

import threading
import time
from pathlib import Path

import pytest
import requests

from tests.parts.clients import Skopeo
from tests.parts.counting import Upstream
from tests.parts.faults import (
    Corrupt,
    Cut,
    Fault,
    Header,
    HoldBody,
    IgnoreRange,
    Late,
    Stall,
    Status,
    Throttle,
    WrongContentRange,
)
from tests.parts.images import MANIFEST, Layout
from tests.parts.registry import Registry
from tests.waiting import until

BODY = bytes(range(256)) * 1000


@pytest.fixture
def blob_url(upstream: Upstream) -> str:
    return f"{upstream.url}/v2/some/thing/blobs/{upstream.add_blob('some/thing', BODY)}"


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def received(url: str) -> tuple[bytes, Exception | None]:
    """All that came of a body, and what ended it."""
    content = b""
    with requests.get(url, stream=True, timeout=10) as response:
        try:
            while piece := response.raw.read1(65536):
                content += piece
        except Exception as error:  # noqa: BLE001 - the error is the result
            return content, error
        return content, None


def test_a_blob_is_served_whole_and_by_range(blob_url: str) -> None:
    whole = get(blob_url)
    assert (whole.status_code, whole.content) == (200, BODY)
    for asked, start, end in (("0-0", 0, 1), ("100-", 100, 256000), ("-5", 255995, 256000)):
        part = get(blob_url, Range=f"bytes={asked}")
        assert (part.status_code, part.content) == (206, BODY[start:end])
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/256000"
    assert get(blob_url, Range="bytes=256000-").status_code == 416
    assert get(blob_url, **{"Range": "bytes=5-", "If-Range": '"other"'}).status_code == 200
    head = requests.head(blob_url, timeout=10)
    assert (head.headers["Content-Length"], head.content) == ("256000", b"")


def test_only_a_repository_that_has_a_blob_serves_it(upstream: Upstream, blob_url: str) -> None:
    upstream.add_blob("some/where", b"else")
    assert get(blob_url.replace("some/thing", "some/where")).status_code == 404


def test_manifests_are_served_by_tag_and_digest_and_not_again(upstream: Upstream) -> None:
    digest = upstream.add_manifest("a/b", "v1", b"{}", MANIFEST)
    for reference in ("v1", digest):
        answer = get(f"{upstream.url}/v2/a/b/manifests/{reference}")
        assert (answer.content, answer.headers["Docker-Content-Digest"]) == (b"{}", digest)
        assert answer.headers["Content-Type"] == MANIFEST
        again = get(answer.url, **{"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_tags_are_listed_in_pages(upstream: Upstream) -> None:
    for tag in "dbcae":
        upstream.add_manifest("a/b", tag, b"{}", MANIFEST)
    url, pages = f"{upstream.url}/v2/a/b/tags/list?n=2", []
    while url:
        page = get(url)
        pages.append(page.json()["tags"])
        following = page.links.get("next", {}).get("url")
        url = f"{upstream.url}{following}" if following else ""
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_requests_and_bytes_are_counted(upstream: Upstream, blob_url: str) -> None:
    get(blob_url)
    get(blob_url, Range="bytes=0-9")
    requests.head(blob_url, timeout=10)
    assert [each.method for each in upstream.seen("*/blobs/*")] == ["GET", "GET", "HEAD"]
    assert upstream.seen(method="GET")[1].headers["range"] == "bytes=0-9"
    assert upstream.sent("*/blobs/*") == len(BODY) + 10
    assert upstream.sent("*/manifests/*") == 0


def test_a_fault_lasts_for_as_many_requests_as_were_told(upstream: Upstream, blob_url: str) -> None:
    upstream.fail("*/blobs/*", Status(429, retry_after="7"), times=2)
    answers = [get(blob_url) for _ in range(3)]
    assert [each.status_code for each in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_is_cut(upstream: Upstream, blob_url: str, reset: bool) -> None:
    upstream.fail("*", Cut(100_000, reset=reset), times=1)
    content, error = received(blob_url)
    assert error is not None
    assert ("Connection reset" in repr(error)) == reset
    # What was on its way when the connection was reset is lost.
    assert content == BODY[:100_000] if not reset else BODY.startswith(content)
    assert upstream.sent() == 100_000
    assert get(blob_url).content == BODY


def test_one_byte_is_changed(upstream: Upstream, blob_url: str) -> None:
    upstream.fail("*", Corrupt(at=70_000))
    wrong = get(blob_url).content
    assert [at for at in range(len(BODY)) if wrong[at] != BODY[at]] == [70_000]
    assert len(wrong) == len(BODY)


@pytest.mark.parametrize(
    ("fault", "at_least"),
    [(Late(0.3), 0.3), (Stall(1000, 0.3), 0.3), (Throttle(len(BODY) / 0.4), 0.3)],
)
def test_what_is_slow_comes_whole(
    upstream: Upstream, blob_url: str, fault: Fault, at_least: float
) -> None:
    upstream.fail("*", fault)
    began = time.monotonic()
    assert get(blob_url).content == BODY
    assert time.monotonic() - began >= at_least


def test_a_range_is_ignored_or_told_wrongly(upstream: Upstream, blob_url: str) -> None:
    upstream.fail("*", IgnoreRange(), times=1)
    upstream.fail("*", WrongContentRange("bytes 7-8/9"), times=2)
    ignored, wrong = (get(blob_url, Range="bytes=10-") for _ in range(2))
    assert (ignored.status_code, ignored.content) == (200, BODY)
    assert (wrong.status_code, wrong.headers["Content-Range"]) == (206, "bytes 7-8/9")


def test_a_header_is_changed_or_left_out(upstream: Upstream, blob_url: str) -> None:
    upstream.fail("*", Header("ETag", None))
    upstream.fail("*", Header("Docker-Content-Digest", "nonsense"))
    headers = get(blob_url).headers
    assert "ETag" not in headers
    assert headers["Docker-Content-Digest"] == "nonsense"


def test_a_body_is_held_until_it_is_released(upstream: Upstream, blob_url: str) -> None:
    hold = HoldBody(after=5000)
    upstream.fail("*", hold)
    with requests.get(blob_url, stream=True, timeout=10) as response:
        assert response.raw.read(5000) == BODY[:5000]
        assert hold.reached.wait(5)
        assert upstream.sent() == 5000
        hold.release()
        assert response.raw.read() == BODY[5000:]


def test_bearer_tokens_are_asked_for_by_scope_and_expire(upstream: Upstream, blob_url: str) -> None:
    bearer = upstream.require_bearer(user="me", password="mine")
    refused = get(blob_url)
    challenge = refused.headers["WWW-Authenticate"]
    assert refused.status_code == 401
    assert challenge == (
        f'Bearer realm="{upstream.url}/token",service="tests",scope="repository:some/thing:pull"'
    )
    assert get(f"{upstream.url}/token?service=tests").status_code == 401

    def token(scope: str) -> str:
        asked = {"service": "tests", "scope": scope}
        realm = f"{upstream.url}/token"
        answer = requests.get(realm, params=asked, auth=("me", "mine"), timeout=10).json()
        return f"Bearer {answer['token']}"

    mine = token("repository:some/thing:pull")
    assert get(blob_url, Authorization=mine).content == BODY
    other = token("repository:some/where:pull")
    assert get(blob_url, Authorization=other).status_code == 401
    bearer.revoke()
    assert get(blob_url, Authorization=mine).status_code == 401


def test_basic_credentials_are_asked_for(upstream: Upstream, blob_url: str) -> None:
    upstream.require_basic("me", "mine")
    assert get(blob_url).headers["WWW-Authenticate"].startswith("Basic ")
    assert requests.get(blob_url, auth=("me", "mine"), timeout=10).content == BODY


def test_blobs_are_redirected_to_another_host(upstream: Upstream, blob_url: str) -> None:
    with Upstream(content=upstream.content) as store:
        upstream.blobs_at = store.url
        assert get(blob_url).content == BODY
        assert store.seen()[0].query == "signature=secret"
    assert upstream.sent() == 0


def test_stopped_it_cuts_connections_and_comes_back_on_its_port(
    upstream: Upstream, blob_url: str
) -> None:
    upstream.fail("*", Stall(1000))
    results: list[tuple[bytes, Exception | None]] = []
    thread = threading.Thread(target=lambda: results.append(received(blob_url)))
    thread.start()
    until(lambda: upstream.sent() == 1000)
    upstream.stop()
    thread.join(10)
    assert results[0][1] is not None
    with pytest.raises(requests.ConnectionError):
        get(blob_url)
    upstream.start()
    upstream.heal()
    assert get(blob_url).content == BODY


def test_writes_are_refused(upstream: Upstream) -> None:
    assert requests.post(f"{upstream.url}/v2/a/blobs/uploads/", b"x", timeout=10).status_code == 405


def test_it_stands_in_front_of_a_registry(
    registry: Registry, image: Layout, tmp_path: Path
) -> None:
    image.push("real", registry.host, "counted/real")
    with Upstream(behind=registry.host) as upstream:
        pulled = Skopeo().copy(f"{upstream.host}/counted/real:real", tmp_path / "pulled")
        sizes = sum(len(image.read(blob)) for blob in image.blobs_of(pulled.digest))
        assert pulled.blobs == set(image.blobs_of(pulled.digest))
        assert upstream.sent("*/blobs/*") == sizes
        upstream.fail("*/manifests/*", Status(503))
        assert get(f"{upstream.url}/v2/counted/real/manifests/real").status_code == 503


def test_skopeo_pulls_an_image_that_a_test_put_in(
    upstream: Upstream, image: Layout, tmp_path: Path
) -> None:
    image.put_into(upstream.content, "real", "made/up", as_tag="v1")
    pulled = Skopeo().copy(f"{upstream.host}/made/up:v1", tmp_path / "pulled")
    assert pulled.digest == image.tagged("real")
    assert pulled.blobs == set(image.blobs_of(pulled.digest))
