"""The browser that pages are shown in."""

from playwright.sync_api import Browser, Playwright

PROGRAM = "/usr/bin/chromium"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, which asks nobody but who it is sent to."""
    return playwright.chromium.launch(executable_path=PROGRAM, args=list(_FLAGS))
