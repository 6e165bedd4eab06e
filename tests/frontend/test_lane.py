"""The lane against the application behind it: byte for byte the same answers, and no work twice."""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from common.digest import Digest
from common.messages import Kind
from common.reference import RepositoryName, Tag
from frontend import contents
from frontend.targets import NotPlain, Targets
from tests.frontend.inprocess import Header, House, house
from tests.frontend.stage import age

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
A = RepositoryName("library/a")
LARGE = bytes(range(256)) * 400


def manifest(media_type: str, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **more}).encode()


IMAGE = manifest(OCI, layers=[])


@pytest.fixture
def at(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "root") as opened:
        yield opened


def furnish(at: House) -> list[str]:
    """Paths of all kinds of things, present and absent."""
    image = at.store(Kind.MANIFEST, IMAGE)
    listed = {
        "digest": image,
        "mediaType": OCI,
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    kept = {
        "image": image,
        "index": at.store(Kind.MANIFEST, manifest(INDEX, manifests=[listed])),
        "empty-index": at.store(Kind.MANIFEST, manifest(INDEX, manifests=[])),
        "schema-1": at.store(Kind.MANIFEST, manifest(SCHEMA_1, signatures=[])),
        "large": at.store(Kind.MANIFEST, manifest(OCI, annotations={"x": "y" * 70_000})),
        "no-json": at.store(Kind.MANIFEST, b"\xff\xfe"),
    }
    for tag, digest in kept.items():
        at.tag(tag, digest)
    at.tag("stale", image)
    age(at.services.layout.tag_index(A, Tag("stale"), image), 7200)
    at.tag("dangling", Digest.of(b"never stored"))
    blobs = [at.store(Kind.LAYER, content) for content in (b"small", b"", LARGE)]
    elsewhere = at.store(Kind.LAYER, b"elsewhere", "ghcr.io/o/r")
    absent = Digest.of(b"absent")
    return [
        *(f"/v2/library/a/manifests/{tag}" for tag in [*kept, "stale", "dangling", "absent"]),
        *(f"/v2/library/a/manifests/{digest}" for digest in [*kept.values(), absent, blobs[0]]),
        *(f"/v2/library/a/blobs/{digest}" for digest in [*blobs, absent, image]),
        f"/v2/a/blobs/{blobs[0]}",
        f"/v2/ghcr.io/o/r/blobs/{elsewhere}",
        f"/v2/o/r/blobs/{elsewhere}",
    ]


ACCEPTS: list[list[Header]] = [
    [],
    [(b"accept", OCI.encode())],
    [(b"accept", INDEX.encode())],
    [(b"accept", b"*/*")],
    [(b"accept", OCI.encode()), (b"accept", INDEX.encode())],
    [(b"accept", f"{INDEX};q=0, {OCI}".encode())],
    [(b"accept", b"")],
    [(b"accept", "é".encode("latin-1"))],
]
QUERIES = [b"", b"ns=ghcr.io", b"ns=docker.io", b"ns=", b"ns=ghcr.io&ns=x", b"NS=a", b"x=1"]


def test_every_way_to_ask_is_answered_as_by_the_application(at: House) -> None:
    asked = at_once = 0
    for path in furnish(at):
        ways = [*((b"", accept) for accept in ACCEPTS), *((query, []) for query in QUERIES)]
        for method, (query, accept) in product(("GET", "HEAD"), ways):
            by_lane, by_application = at.both(method, path, query, accept)
            assert by_lane == by_application, (method, path, query, accept)
            asked += 1
            found = at.at_once(method, path, query, accept)
            assert found in (None, by_lane), (method, path, query, accept)
            at_once += found is not None
    assert asked > 600
    assert at_once > 150


ODD_HEADERS: list[list[Header]] = [
    [(b"range", b"bytes=1-2")],
    [(b"range", b"bytes=99-")],
    [(b"range", b"bytes=0-0"), (b"if-range", b'"x"')],
    [(b"if-none-match", b"*")],
    [(b"if-none-match", b'"x"')],
    [(b"content-length", b"0")],
    [(b"transfer-encoding", b"chunked")],
    [(b"expect", b"100-continue")],
    [(b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")],
    [(b"x-request-id", b"mine")],
]


def test_odd_requests_are_answered_as_by_the_application(at: House) -> None:
    blob, image = at.store(Kind.LAYER, b"small"), at.store(Kind.MANIFEST, IMAGE)
    at.tag("1", image)
    whole = [f"/v2/library/a/blobs/{blob}", "/v2/library/a/manifests/1"]
    for path, method, odd in product(whole, ("GET", "HEAD"), ODD_HEADERS):
        by_lane, by_application = at.both(method, path, headers=odd)
        assert by_lane == by_application, (method, path, odd)
        assert at.at_once(method, path, headers=odd) in (None, by_lane), (method, path, odd)
    paths = [
        f"/v2/library/a/blobs/{blob.upper()}",
        f"/v2/library/a/blobs/{blob[:-1]}",
        f"/v2/library/a/blobs/{blob}/",
        f"/v2/library//a/blobs/{blob}",
        f"/v2/library/%61/blobs/{blob}",
        f"/v2/../library/a/blobs/{blob}",
        f"/v2/LIBRARY/a/blobs/{blob}",
        "/v2/library/a/blobs/1",
        "/v2/library/a/manifests/" + "t" * 129,
        "/v2/library/a/manifests/.1",
        "/v2/library/a/manifests/é",
        "/v2/library/a/tags/list",
        "/v2/blobs/" + blob,
        "/v2/",
        "/",
        "",
    ]
    for path, method in product([*paths, *whole], ("GET", "HEAD", "POST", "OPTIONS", "get")):
        by_lane, by_application = at.both(method, path)
        assert by_lane == by_application, (method, path)
        assert at.at_once(method, path) in (None, by_lane), (method, path)


def handed_on(at: House) -> list[str]:
    """The paths that come through the lane to the application, from now on."""
    seen: list[str] = []
    application = at.lane.app

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await application(scope, receive, send)

    at.lane.app = watched
    return seen


def test_plain_hits_never_come_to_the_application(at: House) -> None:
    blob, image = at.store(Kind.LAYER, b"small"), at.store(Kind.MANIFEST, IMAGE)
    at.tag("1", image)
    seen = handed_on(at)
    for path in (f"blobs/{blob}", f"manifests/{image}", "manifests/1"):
        for method in ("GET", "HEAD", "GET"):
            assert at.ask(method, f"/v2/library/a/{path}").status == 200
    assert seen == []
    at.ask("GET", f"/v2/library/a/blobs/{blob}", headers=[(b"range", b"bytes=0-0")])
    assert len(seen) == 1


def flip(path: str) -> None:
    """Another first byte, as a disk would have it; and the seal still says that all is well."""
    with open(path, "r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 0xFF]))
    # The clock of files moves in ticks: one that is written to soon after may look the same.
    found = os.stat(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000_000))


CHANGES: dict[str, Callable[[House, Kind, Digest], object]] = {
    "link removed": lambda at, kind, digest: at.services.links.remove(kind, A, digest),
    "link emptied": lambda at, kind, digest: os.truncate(
        at.services.layout.link(kind, A, digest), 0
    ),
    "content removed": lambda at, _kind, digest: os.unlink(at.services.layout.blob(digest)),
    "content cut short": lambda at, _kind, digest: os.truncate(at.services.layout.blob(digest), 1),
    "content emptied": lambda at, _kind, digest: os.truncate(at.services.layout.blob(digest), 0),
    "content damaged": lambda at, _kind, digest: flip(at.services.layout.blob(digest)),
    "content not to be read": lambda at, _kind, digest: _folder_instead(
        at.services.layout.blob(digest)
    ),
}


def _folder_instead(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [Kind.LAYER, Kind.MANIFEST])
def test_what_changes_under_it_is_answered_as_by_the_application(
    tmp_path: Path, change: str, kind: Kind
) -> None:
    answers = []
    for by_lane in (True, False):
        with house(tmp_path / str(by_lane)) as at:
            digest = at.store(kind, IMAGE)
            at.tag("1", digest)
            word = "blobs" if kind is Kind.LAYER else "manifests"
            references = [digest] if kind is Kind.LAYER else [digest, "1"]
            paths = [f"/v2/library/a/{word}/{reference}" for reference in references]
            app = None if by_lane else at.lane.app
            for path in paths:
                assert at.ask("GET", path, app=app).status == 200
            CHANGES[change](at, kind, digest)
            assert [at.at_once("GET", path) for path in paths] == [None for _ in paths]
            answers.append(
                [at.ask(how, path, app=app) for path in paths for how in ("GET", "HEAD")]
            )
    assert answers[0] == answers[1]
    if kind is Kind.MANIFEST:
        assert {answer.status for answer in answers[0]} == {503}


def test_a_tag_that_moves_is_seen_at_the_next_request(at: House) -> None:
    one, other = (at.store(Kind.MANIFEST, manifest(OCI, n=n)) for n in range(2))
    for digest in (one, other, one):
        at.tag("1", digest)
        by_lane, by_application = at.both("GET", "/v2/library/a/manifests/1")
        assert by_lane == by_application == at.at_once("GET", "/v2/library/a/manifests/1")
        assert (b"docker-content-digest", digest.encode()) in by_lane.headers


def test_what_is_stored_again_after_damage_is_served_again(at: House) -> None:
    digest = at.store(Kind.MANIFEST, IMAGE)
    path = f"/v2/library/a/manifests/{digest}"
    assert at.ask("GET", path).body == IMAGE
    flip(at.services.layout.blob(digest))
    assert at.ask("GET", path).status == 503
    at.store(Kind.MANIFEST, IMAGE)
    assert at.ask("GET", path).body == IMAGE


@pytest.mark.parametrize("at_once", [False, True])
def test_an_old_use_is_marked_and_a_recent_one_is_not(at: House, at_once: bool) -> None:
    blob, image = at.store(Kind.LAYER, b"small"), at.store(Kind.MANIFEST, IMAGE)
    at.tag("1", image)
    layout, seen = at.services.layout, handed_on(at)
    links = {
        f"/v2/library/a/blobs/{blob}": [layout.link(Kind.LAYER, A, blob)],
        "/v2/library/a/manifests/1": [
            layout.link(Kind.MANIFEST, A, image),
            layout.tag_current(A, Tag("1")),
        ],
    }
    for path, marked in links.items():
        at.ask("GET", path)  # now it is in memory
        for seconds, moves in ((7200, True), (60, False)):
            for link in marked:
                age(link, seconds)
            before = [os.stat(link).st_mtime for link in marked]
            answer = at.at_once("GET", path) if at_once else at.ask("GET", path)
            assert answer is not None
            assert answer.status == 200
            after = [os.stat(link).st_mtime for link in marked]
            assert [late > early for early, late in zip(before, after, strict=True)] == [
                moves for _ in marked
            ]
    assert seen == []


@pytest.fixture
def looked(at: House, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often storage is looked at, by what is looked for."""
    counts: Counter[str] = Counter()

    def count(thing: object, name: str, call: str) -> None:
        real = getattr(thing, call)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(thing, call, counting)

    count(at.services.links, "link", "last_use")
    count(at.services.tags, "tag", "read")
    count(at.services.blobs, "blob", "open")
    return counts


def test_what_is_not_in_memory_is_not_looked_up_before_the_application_is_asked(
    at: House, looked: Counter[str]
) -> None:
    large, small = at.store(Kind.LAYER, LARGE), at.store(Kind.LAYER, b"small")
    at.ask("GET", f"/v2/library/a/blobs/{large}")
    looked.clear()
    for digest in (large, small, Digest.of(b"absent")):
        assert at.at_once("GET", f"/v2/library/a/blobs/{digest}") is None
    assert looked == {}


def test_what_is_large_is_not_copied_for_each_who_asks(at: House) -> None:
    large = manifest(OCI, annotations={"x": "y" * 70_000})
    path = f"/v2/library/a/manifests/{at.store(Kind.MANIFEST, large)}"
    for _ in range(2):
        assert at.ask("GET", path).body == large
        assert at.at_once("GET", path) is None


@pytest.mark.parametrize(
    "header", [("Server", "mine"), ("date", "today"), ("Connection", "close"), ("X", "a\r\nb")]
)
def test_headers_that_the_connection_goes_by_are_not_written_past_it(
    tmp_path: Path, header: tuple[str, str]
) -> None:
    with house(tmp_path / "root", [header]) as at:
        path = f"/v2/library/a/blobs/{at.store(Kind.LAYER, b'small')}"
        assert at.ask("GET", path).status == 200
        assert at.at_once("GET", path) is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_large_blob_is_looked_up_once(at: House, looked: Counter[str], method: str) -> None:
    path = f"/v2/library/a/blobs/{at.store(Kind.LAYER, LARGE)}"
    looked.clear()
    for _ in range(3):
        assert at.ask(method, path).body == (LARGE if method == "GET" else b"")
    assert looked == {"link": 3, "blob": 3}


def test_what_is_missing_or_stale_is_looked_up_as_often_as_by_the_application(
    at: House, looked: Counter[str]
) -> None:
    image = at.store(Kind.MANIFEST, IMAGE)
    at.tag("1", image)
    age(at.services.layout.tag_index(A, Tag("1"), image), 7200)
    absent = Digest.of(b"absent")
    at.ask("GET", "/v2/library/a/manifests/1")
    for path in (f"blobs/{absent}", f"manifests/{absent}", "manifests/absent", "manifests/1"):
        counts = []
        for app in (None, at.lane.app):
            at.services.refusals._until.clear()
            looked.clear()
            at.ask("GET", f"/v2/library/a/{path}", app=app)
            counts.append(dict(looked))
        assert counts[0] == counts[1], path


def test_a_blob_that_was_handed_on_is_closed_again(at: House) -> None:
    path = f"/v2/library/a/blobs/{at.store(Kind.LAYER, LARGE)}"
    at.ask("GET", path)
    before = open_blobs(at)
    for method in ("GET", "HEAD", "GET"):
        at.ask(method, path)
    assert open_blobs(at) == before


def open_blobs(at: House) -> list[str]:
    """The blobs of `at` that this process has open.

    Not all blobs: what other tests have dropped is closed whenever it is collected.
    """
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing itself, for one
            found.append(os.readlink(link))
    root = at.services.layout.root
    return sorted(name for name in found if name.startswith(root) and name.endswith("/data"))


class TestWaiting:
    @pytest.fixture
    def read_on(self, at: House, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Whether it was the loop's thread, for each content that was read whole."""
        noted: list[bool] = []
        real = at.services.blobs.read

        def read(digest: Digest, limit: int) -> bytes | None:
            noted.append(threading.current_thread() is threading.main_thread())
            return real(digest, limit)

        monkeypatch.setattr(at.services.blobs, "read", read)
        return noted

    def test_a_manifest_that_is_not_in_the_page_cache_is_read_on_a_thread(
        self, at: House, read_on: list[bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = f"/v2/library/a/manifests/{at.store(Kind.MANIFEST, IMAGE)}"
        monkeypatch.setattr(contents, "is_cached", lambda *_: False)
        assert at.ask("GET", path).body == IMAGE
        assert read_on == [False]
        seen = handed_on(at)
        assert at.ask("GET", path).body == IMAGE
        assert (read_on, seen) == ([False], [])

    def test_a_large_manifest_is_hashed_on_a_thread_and_kept(
        self, at: House, read_on: list[bool]
    ) -> None:
        large = manifest(OCI, annotations={"x": "y" * 200_000})
        path = f"/v2/library/a/manifests/{at.store(Kind.MANIFEST, large)}"
        for app in (None, at.lane.app, None):
            assert at.ask("GET", path, app=app).body == large
        assert read_on == [False]

    def test_the_largest_manifests_are_served_and_not_kept(
        self, at: House, read_on: list[bool]
    ) -> None:
        huge = manifest(OCI, annotations={"x": "y" * 3_000_000})
        path = f"/v2/library/a/manifests/{at.store(Kind.MANIFEST, huge)}"
        for _ in range(2):
            assert at.ask("GET", path).body == huge
        assert read_on == [False, False]


def test_targets_are_read_as_the_application_reads_them(at: House) -> None:
    targets: Targets = at.lane._targets
    digest = Digest.of(b"x")
    found = targets.of(f"/v2/o/r/blobs/{digest}", b"ns=ghcr.io")
    assert (found.stored, found.kind, found.reference) == ("ghcr.io/o/r", Kind.LAYER, digest)
    assert found.namespace == b"ghcr.io"
    assert targets.of("/v2/a/manifests/1", b"").stored == "a"
    for path, query in (("/v2/a/manifests/1", b"x=1"), ("/v2/a/tags/list", b""), ("/", b"")):
        with pytest.raises(NotPlain):
            targets.of(path, query)
