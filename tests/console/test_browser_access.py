"""What automatic checks know of accessibility (axe, WCAG 2.1 A and AA), on every page."""

import http.client
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from common.digest import Digest
from tests.console.house import House, publish, publish_index
from tests.parts.counting import Upstream
from tests.parts.faults import HoldBody

_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}  # fmt: skip

PAGES = {
    "/": "In flight",
    "/?hours=24": "Traffic",
    "/cached": "Repositories",
    "/cached?q=nothing": "No cached repository",
    "/cached/library/app": "Pull",
    "/cached/ghcr.io/owner/tool:1": "Images",
    "/cached/library/app:1": "Parts",
    "/evict?target=library/app": "This is what happens",
    "/queue": "Dead letters: 1",
    "/queue/drop?id=all": "This is what happens",
    "/verify": "library/app",
    "/verify?target=library/app": "This is what happens",
    "/nowhere": "Not here",
}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A cache in which there is something of everything."""
    with Upstream() as upstream, Upstream() as other:
        built = House(tmp_path_factory.mktemp("busy"), upstream, other)
        built.bury(1, "no upstream of this name")
        built.start()
        publish(upstream, "library/app", "1", [b"layer" * 1000])
        publish_index(other, "owner/tool", "1", {"linux/amd64": 9_000, "linux/arm64": 7_000})
        built.pull_image("library/app", "1")
        built.pull_image("ghcr.io/owner/tool", "1")
        yield built
        built.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_finding(
    busy: House, open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(busy.url, color_scheme=scheme)
    hold = HoldBody(after=400_000)
    digest = busy.upstream.add_blob("library/app", f"{scheme} ".encode() * 200_000)
    busy.upstream.fail(f"*/blobs/{digest}", hold)
    page.goto("/verify?target=library/app")
    page.get_by_role("button", name="Verify").click()
    begin(busy, digest)
    found = {}
    for path, text in PAGES.items():
        page.goto(path)
        expect(page.locator("main")).to_contain_text(text)
        if path == "/":
            expect(page.locator("#inflight progress")).to_have_count(1)
        report = Axe().run(page, options=_RULES)
        found[path] = [
            (each["id"], each["impact"], each["nodes"][0]["html"][:200])
            for each in report.response["violations"]
            if each["impact"] in {"serious", "critical", "moderate"}
        ]
    hold.release()
    assert {path: each for path, each in found.items() if each} == {}


def begin(busy: House, digest: Digest) -> None:
    """Have a blob fetched, and do not wait for it."""
    connection = http.client.HTTPConnection(busy.host, timeout=20)
    connection.request("GET", f"/v2/library/app/blobs/{digest}")
    assert connection.getresponse().status == 200
    connection.close()
