"""What pages say of a storage folder: in pages, by upstream, within bounds."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from common.digest import Digest
from common.reference import RepositoryName
from entrepot.console import cached, evict, verify
from tests.common.insight.store import index
from tests.console.counter import Counter, counter
from tests.waiting import until


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Counter]:
    with counter(tmp_path) as made:
        yield made


def names(desk: Counter, path: str) -> list[str]:
    return [row[0] for row in desk.rows(path)]


def test_repositories_come_in_pages_that_are_the_whole_together(
    desk: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "_PAGE", 3)
    every = [f"library/app{number}" for number in range(7)]
    for name in every:
        desk.store.add_image(name, "1", [name.encode()])
    found = names(desk, "/cached")
    assert '<a href="/cached?after=library%2Fapp2" class="button">Next page</a>' in desk.text(
        "/cached"
    )
    found += names(desk, "/cached?after=library/app2") + names(desk, "/cached?after=library/app5")
    assert found == every
    assert "Next page" not in desk.text("/cached?after=library/app5")


def test_an_upstream_has_its_own_repositories_and_no_others(desk: Counter) -> None:
    for name in ("library/a", "ghcr.io/b/c", "ghcr.io", "quay.io/e", "quay.io-not/f"):
        desk.store.add_image(name, "1", [name.encode()])
    assert names(desk, "/cached?upstream=default") == ["ghcr.io", "library/a", "quay.io-not/f"]
    assert names(desk, "/cached?upstream=ghcr.io") == ["ghcr.io/b/c"]
    assert names(desk, "/cached?upstream=quay.io") == ["quay.io/e"]
    assert len(names(desk, "/cached?upstream=nobody")) == 5


def test_a_search_whose_time_is_over_says_so_and_goes_on_from_there(
    desk: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/a", "b/b", "c/c"):
        desk.store.add_image(name, "1", [name.encode()])
    monkeypatch.setattr(cached, "_NAMES_SECONDS", 0.0)
    page = desk.text("/cached?q=c")
    assert "None found so far." in page
    assert "The search stopped at a/a" in page
    assert 'href="/cached?q=c&amp;after=a%2Fa"' in page
    assert names(desk, "/cached?q=c&after=b/b") == ["c/c"]


def test_a_page_whose_time_is_over_has_names_without_numbers(
    desk: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.store.add_image("a/a", "1", [b"a"])
    monkeypatch.setattr(cached, "_FACTS_SECONDS", 0.0)
    assert desk.rows("/cached") == [["a/a", "…", "…", "…", "…", "…"]]


def test_what_never_expires_is_told_so(desk: Counter) -> None:
    desk.store.add_image("ghcr.io/b/c", "1", [b"c"])
    desk.store.add_image("library/a", "1", [b"a"])
    expires = {row[0]: row[-1] for row in desk.rows("/cached")}
    assert expires == {"ghcr.io/b/c": "never", "library/a": "in 7 d"}


def test_tags_and_manifests_come_in_pages(desk: Counter) -> None:
    digests = [
        desk.store.add_image("library/app", f"v{number:03}", [b"%d" % number])
        for number in range(60)
    ]
    rows = desk.rows("/cached/library/app")
    assert [row[0] for row in rows[:50]] == [f"v{number:03}" for number in range(50)]
    assert [row[0] for row in rows[50:]] == [each.hex[:12] for each in sorted(digests)[:50]]
    assert names(desk, "/cached/library/app?tag=v057")[:2] == ["v058", "v059"]
    last = sorted(digests)[-2]
    following = desk.rows(f"/cached/library/app?manifest={last}")
    assert [row[0] for row in following[50:]] == [max(digests).hex[:12]]


def test_an_image_is_told_with_its_parts_and_an_index_with_its_images(desk: Counter) -> None:
    digest = desk.store.add_image("library/app", "1", [b"x" * 2000, b"y"])
    assert [row[:4] for row in desk.rows("/cached/library/app:1")] == [
        ["configuration", Digest.of(b"{}").hex[:12], "2 B", "yes"],
        ["layer 1", Digest.of(b"x" * 2000).hex[:12], "2.0 kB", "yes"],
        ["layer 2", Digest.of(b"y").hex[:12], "1 B", "yes"],
    ]
    assert desk.text(f"/cached/library/app@{digest}").count("layer 2") == 2


@pytest.mark.parametrize(
    "path",
    [
        "/cached/library/absent",
        "/cached/library/app:absent",
        f"/cached/library/app@{Digest.of(b'absent')}",
        "/cached/library/app@sha256:1",
        "/cached/Upper",
        "/cached/a//b",
        "/cached/_uploads",
        "/evict?target=",
        "/evict?target=library/absent",
        "/verify?target=library/absent:1",
        "/verify?target=../..",
        "/static/x/main.py",
        "/events?of=nothing",
    ],
)
def test_what_is_not_here_is_not_here(desk: Counter, path: str) -> None:
    desk.store.add_image("library/app", "1", [b"x"])
    assert desk.get(path).status == HTTPStatus.NOT_FOUND


def test_evicting_a_layers_image_leads_back_to_what_is_left(desk: Counter) -> None:
    desk.store.add_image("library/app", "1", [b"x"])
    desk.store.add_image("library/app", "2", [b"y"])
    answer = desk.submit("/evict?target=library/app:1", "/evict")
    assert answer.headers["Location"] == "/cached/library/app?done=evicted"
    assert desk.store.tags.names(RepositoryName("library/app")) == ["2"]
    answer = desk.submit("/evict?target=library/app:2", "/evict")
    assert answer.headers["Location"] == "/cached?done=evicted"


def test_what_is_too_much_for_a_page_is_left_to_the_command_line(
    desk: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        desk.store.add_image("library/app", f"{number}", [b"%d" % number])
    monkeypatch.setattr(evict, "_MOST", 2)
    monkeypatch.setattr(verify, "_MOST", 2)
    for path, command in (
        ("/evict?target=library/app:1", "entrepot evict"),
        ("/verify?target=library/app", "entrepot verify"),
    ):
        answer = desk.get(path)
        assert answer.status == HTTPStatus.CONFLICT
        assert command in answer.body.decode()


def test_the_overview_says_what_is_missing(desk: Counter) -> None:
    page = desk.text("/")
    for role in ("frontend", "fetcher", "janitor"):
        assert f"No {role} is alive." in page
    assert "No frontend counts for this console" in page
    assert page.count("not known here") == 3
    assert "docker.io" in page


def test_verifying_an_index_reads_all_that_its_images_are_made_of_once(desk: Counter) -> None:
    images = {
        "linux/amd64": desk.store.add_image("library/app", None, [b"x" * 1000]),
        "linux/arm64": desk.store.add_image("library/app", None, [b"y" * 1000]),
    }
    desk.store.add_manifest("library/app", "1", index(images))
    desk.store.add_image("library/app", "other", [b"z" * 1000])
    assert desk.submit("/verify?target=library/app:1", "/verify").status == HTTPStatus.SEE_OTHER
    until(lambda: "All is well" in desk.text("/verify"))
    # The index, two manifests, two layers, and the configuration that both have.
    assert "6 blobs, " in desk.text("/verify")


def test_no_page_without_a_policy_and_no_cookie_for_others(desk: Counter) -> None:
    for path in ("/", "/cached", "/queue", "/verify", "/nowhere"):
        headers = desk.get(path).headers
        assert "script-src 'self'; style-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
    cookie = desk.get("/").headers["Set-Cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")


def test_no_page_has_a_script_or_a_style_of_its_own(desk: Counter) -> None:
    desk.store.add_image("library/app", "1", [b"x"])
    for path in (
        "/",
        "/cached",
        "/cached/library/app",
        "/queue",
        "/verify",
        "/evict?target=library/app",
    ):
        page = desk.text(path)
        assert page.count("<script") == 1
        assert "<style" not in page
        assert " style=" not in page
        assert " on" not in page.replace(" on ", "").replace(" one", "")
