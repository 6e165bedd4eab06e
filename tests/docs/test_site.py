"""The site: it builds without a warning, needs nobody else, and is whole."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.docs.hooks import PAGES as ROOTS
from tests.docs.pages import ROOT

RULES = ROOT / "deploy/prometheus/rules/alerts.yml"


class Read(HTMLParser):
    """A page: its anchors, where it leads to, and what a browser fetches to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif "src" in found or (tag == "link" and "href" in found):
            self.fetched.append(found.get("src", found.get("href", "")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. What mkdocs would warn of (links, anchors, pages nobody finds) is an error."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Read]:
    """By file."""
    return {path: Read(path) for path in site.rglob("*.html")}


def test_every_page_is_there(pages: dict[Path, Read], site: Path) -> None:
    sources = [*ROOTS.values(), *(path.name for path in (ROOT / "docs").glob("*.md"))]
    assert {site / source.replace(".md", ".html") for source in sources} <= pages.keys()


def test_showing_a_page_asks_no_other_host(pages: dict[Path, Read], site: Path) -> None:
    fetched = [(page.name, what) for page, read in pages.items() for what in read.fetched]
    assert [each for each in fetched if urlsplit(each[1]).netloc] == []
    styles = [path for path in site.rglob("*.css") if "https://" in path.read_text()]
    # A licence's address in a remark is not asked for.
    asked = [
        re.findall(r"url\(['\"]?https?:[^)]*\)|@import[^;]*", path.read_text()) for path in styles
    ]
    assert [each for each in asked if each] == []


def leads_somewhere(link: str, page: Path, pages: dict[Path, Read]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return target.is_file() and (not parts.fragment or parts.fragment in pages[target].anchors)


def test_every_link_within_the_site_leads_somewhere(pages: dict[Path, Read]) -> None:
    broken = [
        (page.name, link)
        for page, read in pages.items()
        # Shown in place of what is not there, wherever that is: its links are from the top.
        if page.name != "404.html"
        for link in read.links
        if not leads_somewhere(link, page, pages)
    ]
    assert broken == []
    assert not leads_somewhere("index.html#nowhere", next(iter(pages)), pages)


def test_diagrams_are_in_the_page_with_their_text(site: Path) -> None:
    page = (site / "architecture.html").read_text(encoding="utf-8")
    assert page.count('class="diagram"') == 3
    assert "FillCommitted" in page


def test_every_alert_leads_to_its_place_in_the_runbook(pages: dict[Path, Read], site: Path) -> None:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    urls = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]]
    assert len(urls) > 10
    for url in urls:
        source, _, anchor = url.partition("#")
        page = site / source.removeprefix("docs/").replace(".md", ".html")
        assert anchor in pages[page].anchors
