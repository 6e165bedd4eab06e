"""Chromium, driven by Playwright."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.console.chromium import launch

expect.set_options(timeout=10_000)


# Of the package, not the session: while it is there no other event loop can run in this thread.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Makes a page of a visitor's own; whatever its script or its policy complains of is a failure."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(url: str, **settings: Any) -> Page:
        context = chromium.new_context(base_url=url, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: _note(complaints, said.type, said.text))
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def _note(complaints: list[str], kind: str, text: str) -> None:
    # A status that a test asks for is told as an error, too.
    if kind in {"error", "warning"} and "the server responded with a status" not in text:
        complaints.append(text)
