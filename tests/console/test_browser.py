"""What can be done at the console, done in a browser."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from common.digest import Digest
from common.reference import RepositoryName, Tag
from common.tags import Tags
from tests.console.house import House, house, publish, publish_index
from tests.parts.counting import Upstream
from tests.parts.faults import Fault, Throttle
from tests.waiting import until

Open = Callable[..., Page]

REASON = (
    "<img src=x onerror=\"document.title='caught'\"> & <script>document.title='caught'</script>"
)
LETTERS = 4


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A cache with some images, and dead letters from before it was started."""
    with Upstream() as upstream, Upstream() as other:
        built = House(tmp_path_factory.mktemp("served"), upstream, other)
        built.bury(LETTERS, REASON)
        built.start()
        for number in range(5):
            layers = [random.Random(number).randbytes(50_000 * (number + 1))]
            publish(upstream, f"library/app{number}", "latest", layers)
            built.pull_image(f"library/app{number}", "latest")
        publish_index(other, "owner/tool", "1.2", {"linux/amd64": 9_000, "linux/arm64/v8": 7_000})
        built.pull_image("ghcr.io/owner/tool", "1.2")
        yield built
        built.stop()


def tags_of(house: House, name: str) -> list[Tag]:
    return Tags(house.layout).names(RepositoryName(name))


class Brook(Fault):
    """A Throttle until the test says `release()`: the rest then comes at once."""

    def __init__(self, bytes_per_second: float) -> None:
        self._throttle = Throttle(bytes_per_second)
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def body(self, pieces: Iterator[bytes], stopping: threading.Event) -> Iterator[bytes]:
        return self._throttle.body(pieces, self._released)


def said_by(element: Locator) -> Callable[[], list[str]]:
    """All that the element says from now on: it may be over when we look."""
    element.evaluate(
        """element => {
            element.said = [];
            new MutationObserver(() => element.said.push(element.textContent))
                .observe(element, {childList: true, characterData: true, subtree: true});
        }"""
    )
    return lambda: list(element.evaluate("element => element.said"))


def test_a_download_is_shown_as_it_proceeds_with_speed_and_clients(
    served: House, open_page: Open
) -> None:
    content = random.Random(99).randbytes(3_000_000)
    digest = served.upstream.add_blob("library/app1", content)
    brook = Brook(150_000)
    served.upstream.fail(f"*/blobs/{digest}", brook)
    page = open_page(served.url)
    page.goto("/")
    expect(page.locator("#inflight")).to_contain_text("Nothing is being fetched.")
    expect(page.locator("#live")).to_have_text("live")
    with ThreadPoolExecutor(3) as pool:
        pulls = [pool.submit(served.pull, f"library/app1/blobs/{digest}") for _ in range(3)]
        row = page.get_by_role("row").filter(has_text=digest.hex[:12])
        expect(row).to_contain_text("library/app1")
        expect(row).to_contain_text("of 3.0 MB")
        expect(row).to_contain_text(re.compile(r"\d kB/s"))
        expect(row.locator("td").last).to_have_text("3")
        bar = row.locator("progress")
        seen: set[float] = set()

        def moves() -> bool:
            seen.add(bar.evaluate("bar => bar.value"))
            return len(seen) >= 3

        until(moves, 10, "the bar to move")
        assert max(seen) <= 3_000_000
        brook.release()
        assert all(pull.result(60) == content for pull in pulls)
    expect(page.locator("#inflight")).to_contain_text("Nothing is being fetched.")
    assert page.evaluate("performance.getEntriesByType('navigation').length") == 1


def test_the_overview_tells_of_processes_upstreams_queue_and_traffic(
    served: House, open_page: Open
) -> None:
    page = open_page(served.url)
    page.goto("/")
    for role in ("frontend", "fetcher", "janitor", "console"):
        expect(page.get_by_role("cell", name=role, exact=True).first).to_be_visible()
    upstreams = page.get_by_role("table", name="Upstreams")
    expect(upstreams).to_contain_text("ghcr.io")
    expect(upstreams.get_by_text("answers")).to_have_count(2)
    expect(page.locator("#problems")).to_contain_text("dead letters")
    # The first sample is the zero of the others, ten seconds later.
    ratio = page.get_by_role("img", name=re.compile("Hit ratio: .* of [1-9]"))
    expect(ratio).to_be_visible(timeout=30_000)
    expect(page.get_by_role("img", name=re.compile("Traffic: .* to clients"))).to_be_visible()
    page.get_by_role("link", name="6 h").click()
    expect(page.get_by_role("link", name="6 h")).to_have_class("chosen")


def test_what_is_cached_is_found_by_upstream_and_by_a_part_of_its_name(
    served: House, open_page: Open
) -> None:
    page = open_page(served.url)
    page.goto("/cached")
    table = page.get_by_role("table", name="Repositories")
    expect(table.get_by_role("link")).to_have_text(
        ["ghcr.io/owner/tool", *(f"library/app{number}" for number in range(5))]
    )
    row = table.get_by_role("row").filter(has_text="library/app3")
    expect(row).to_contain_text("200.3 kB")
    expect(row).to_contain_text("in 7 d")
    page.get_by_role("link", name=re.compile("^ghcr.io")).first.click()
    expect(table.get_by_role("link")).to_have_text(["ghcr.io/owner/tool"])
    page.get_by_role("link", name="All").click()
    page.get_by_role("searchbox", name="Search").fill("APP2")
    page.get_by_role("button", name="Search").click()
    expect(table.get_by_role("link")).to_have_text(["library/app2"])
    page.get_by_role("searchbox", name="Search").fill("<b>nothing</b>")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No cached repository has that in its name.")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("<b>nothing</b>")


def test_a_pull_command_is_copied_as_it_is_to_be_typed(served: House, open_page: Open) -> None:
    page = open_page(served.url, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/cached/ghcr.io/owner/tool")
    page.get_by_role("link", name="1.2", exact=True).click()
    expect(page.get_by_role("table", name="Images")).to_contain_text("linux/arm64/v8")
    image = f"{served.host}/ghcr.io/owner/tool:1.2"
    for client, command in {
        "docker": f"docker pull {image}",
        "podman": f"podman pull --tls-verify=false {image}",
        "containerd": f"ctr images pull --plain-http {image}",
    }.items():
        button = page.get_by_role("button", name=f"Copy the command for {client}")
        said = said_by(button)
        button.click()
        until(lambda said=said: "Copied" in said(), 20, "it to say that it has")  # type: ignore[misc]
        assert page.evaluate("navigator.clipboard.readText()") == command


def test_an_image_is_evicted_after_a_question_and_who_did_it_is_logged(
    served: House, open_page: Open
) -> None:
    page = open_page(served.url)
    page.goto("/cached/library/app0:latest")
    page.get_by_role("link", name="Evict…").click()
    expect(page.get_by_role("heading", name="Evict library/app0:latest?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    assert tags_of(served, "library/app0") == ["latest"]
    page.get_by_role("link", name="Evict…").click()
    page.get_by_role("button", name="Evict").click()
    expect(page.get_by_role("status").filter(has_text="Evicted.")).to_be_visible()
    assert page.url.endswith("/cached?done=evicted")
    expect(page.get_by_role("link", name="library/app0")).to_have_count(0)
    assert tags_of(served, "library/app0") == []
    (told,) = served.events("evicted at the console")
    assert (told["who"], told["target"]) == ("127.0.0.1", "library/app0:latest")
    assert page.goto("/cached/library/app0") is not None
    expect(page.get_by_text("Nothing of library/app0 is cached.")).to_be_visible()


def test_dead_letters_are_looked_at_tried_again_and_dropped(served: House, open_page: Open) -> None:
    page = open_page(served.url)
    page.goto("/queue")
    table = page.get_by_role("table", name="Dead letters")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(LETTERS)
    # What was written by others is shown as it is, and does nothing.
    expect(rows.first).to_contain_text(REASON)
    expect(rows.first).to_contain_text("blob:library/lost")
    assert page.title() == "Queue · entrepot"
    rows.first.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status")).to_have_text("Queued again: 1 dead letter.")
    expect(rows).to_have_count(LETTERS - 1)
    first = rows.first.locator("code").first.inner_text()
    rows.first.get_by_role("link", name=re.compile("Drop…")).click()
    page.get_by_role("link", name="Cancel").click()
    expect(rows).to_have_count(LETTERS - 1)
    rows.first.get_by_role("link", name=re.compile("Drop…")).click()
    expect(page.get_by_role("heading", name=f"Drop the dead letter {first}?")).to_be_visible()
    page.get_by_role("button", name="Drop").click()
    expect(page.get_by_role("status")).to_have_text("Dropped: 1 dead letter.")
    page.get_by_role("link", name="Drop all…").click()
    page.get_by_role("button", name="Drop").click()
    expect(page.get_by_role("status")).to_have_text("Dropped: 2 dead letters.")
    expect(page.get_by_text("There are none.")).to_be_visible()
    told = served.events("dead letters changed at the console")
    assert [(each["how"], each["count"]) for each in told] == [
        ("retry", 1),
        ("drop", 1),
        ("drop", 2),
    ]


def test_an_image_is_verified_and_a_damaged_blob_put_aside(served: House, open_page: Open) -> None:
    page = open_page(served.url)
    page.goto("/cached/library/app3")
    page.get_by_role("link", name="Verify…").click()
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("All is well")).to_be_visible()
    layer = Digest.of(random.Random(3).randbytes(200_000))
    blob = Path(served.layout.blob(layer))
    with blob.open("r+b") as file:
        file.seek(1000)
        file.write(b"damaged")
    page.goto("/cached/library/app3:latest")
    row = page.get_by_role("row").filter(has_text=layer.hex[:12])
    row.get_by_role("link", name=re.compile("Verify…")).click()
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("corrupt; put aside, the next pull fetches it anew")).to_be_visible()
    expect(page.get_by_text("1 damaged")).to_be_visible()
    assert not blob.exists()
    assert (Path(served.layout.quarantine) / f"sha256.{layer.hex}").exists()
    assert served.pull(f"library/app3/blobs/{layer}") == random.Random(3).randbytes(200_000)
    asked = served.events("verification asked for at the console")
    assert [each["target"] for each in asked] == ["library/app3", f"library/app3@{layer}"]


def test_on_a_narrow_screen_nothing_has_to_be_moved_aside(served: House, open_page: Open) -> None:
    page = open_page(served.url, viewport={"width": 390, "height": 844}, has_touch=True)
    for path in (
        "/",
        "/cached",
        "/cached/library/app1",
        "/cached/ghcr.io/owner/tool:1.2",
        "/evict?target=library/app1",
        "/queue",
        "/queue/drop?id=all",
        "/verify",
        "/verify?target=library/app1",
        "/nowhere",
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path
    page.goto("/cached")
    page.get_by_role("link", name="library/app4").tap()
    page.get_by_role("link", name="Evict…").tap()
    page.get_by_role("button", name="Evict").tap()
    expect(page.get_by_text("Evicted.")).to_be_visible()
    assert tags_of(served, "library/app4") == []


def test_everything_can_be_reached_by_keyboard_alone(served: House, open_page: Open) -> None:
    page = open_page(served.url)
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press_until(page, "Cached")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cached")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("app2")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=app2")
    press_until(page, "library/app2")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/library/app2")
    press_until(page, "Evict…")
    page.keyboard.press("Enter")
    page.wait_for_url("**/evict?**")
    press_until(page, "Evict")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Evicted.")).to_be_visible()
    assert tags_of(served, "library/app2") == []


def press_until(page: Page, text: str) -> None:
    """Tab until what has the focus is called so."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == text:
            return
    raise AssertionError(f"{text} cannot be reached by Tab")


def test_without_script_everything_but_being_live_and_copying_works(
    served: House, open_page: Open
) -> None:
    page = open_page(served.url, java_script_enabled=False)
    page.goto("/cached/library/app1")
    expect(page.get_by_text("docker pull")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Copy"))).to_have_count(0)
    page.get_by_role("link", name="Evict…").click()
    page.get_by_role("button", name="Evict").click()
    expect(page.get_by_text("Evicted.")).to_be_visible()


def test_a_console_that_is_killed_comes_back_and_pages_go_on_being_live(
    tmp_path: Path, open_page: Open
) -> None:
    with house(tmp_path) as built:
        page = open_page(built.url)
        page.goto("/")
        expect(page.locator("#live")).to_have_text("live")
        said = said_by(page.locator("#live"))
        built.kill_console()
        until(lambda: "not live" in said(), 20, "the page to say so")
        # A browser that is refused for the time being looks again after ten seconds.
        expect(page.locator("#live")).to_have_text("live", timeout=40_000)
        assert built.status("/debug/ready") == 200
