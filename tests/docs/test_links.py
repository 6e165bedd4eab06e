"""Links between the pages as they lie in the repository, where most people read them."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PAGES, ROOT

_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")


def prose(page: Path) -> str:
    """The page without its blocks and spans of code."""
    text = re.sub(r"(?ms)^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"))
    return re.sub(r"(?m)^ {4}.*$", "", re.sub(r"`[^`]*`", "x", text))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Of the page's headings, as code hosts make them and mkdocs does too."""
    text = re.sub(r"(?ms)^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    # Where both would make different anchors, a link would lead to neither.
    return {word for word in words if "--" not in word and word.isascii()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        assert target.is_file(), link
        assert target.is_relative_to(ROOT), link
        if parts.fragment and target.suffix == ".md":
            assert parts.fragment in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_to_elsewhere_is_a_whole_https_address(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
            assert re.fullmatch(r"[!-~]+", link), link


def test_links_are_found() -> None:
    assert sum(len(links(page)) for page in PAGES) > 100
