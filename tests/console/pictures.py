"""The pictures in docs/console.md: `python -m tests.console.pictures docs/images`.

The cache, its images, the download under way and the dead letters are real. The hours before it
was started are made up, as nobody wants to wait for them.
"""

import math
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from common.broker.opening import open_broker
from common.claims import Claims
from common.config import Config, Proxy
from common.debug import Server as Listener
from common.debug import listen
from common.metrics.catalogue import CACHED, HITS, MISSES, QUOTA_LEFT, QUOTA_LIMIT, RECEIVED, SENT
from common.metrics.kinds import Snapshot
from common.metrics.machine import Member
from common.paths import Layout
from entrepot.configuration import read
from entrepot.console.application import Application
from entrepot.console.figures import Figures
from entrepot.console.history import History
from entrepot.console.server import Server
from entrepot.console.watch import Sources
from tests.console.chromium import launch
from tests.console.house import House, publish, publish_index
from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.waiting import until

_HOURS = 6
_SAMPLE = 60.0

_IMAGES = {
    "library/alpine": ["3.20", "3.21", "latest"],
    "library/debian": ["bookworm-slim"],
    "library/nginx": ["1.27", "stable-alpine"],
    "library/postgres": ["17"],
    "library/python": ["3.12-slim", "3.13"],
    "library/redis": ["7"],
}
_OTHERS = {"owner/tool": ["1.2"], "prometheus/node-exporter": ["v1.8.2"]}


def main(folder: Path) -> None:
    """Take them all."""
    made = tempfile.TemporaryDirectory(prefix="pictures")
    with made as place, Upstream() as upstream, Upstream() as other:
        numbers = Path(place) / "metrics"
        numbers.mkdir()
        built = House(Path(place), upstream, other, prometheus={"folder": str(numbers)})
        built.bury(1, "404 Not Found: the upstream has no such blob")
        built.start()
        try:
            _fill(built)
            _show(built, folder)
        finally:
            built.stop()


def _fill(built: House) -> None:
    chosen = random.Random(1)
    for name, tags in _IMAGES.items():
        base = chosen.randbytes(600_000)
        for tag in tags:
            publish(built.upstream, name, tag, [base, chosen.randbytes(chosen.randrange(900_000))])
            built.pull_image(name, tag)
    for name, tags in _OTHERS.items():
        for tag in tags:
            publish_index(built.other, name, tag, {"linux/amd64": 700_000, "linux/arm64": 650_000})
            built.pull_image(f"ghcr.io/{name}", tag)


def made_up(history: History, now: float) -> None:
    """Some hours of a working day: more and more is asked for, and less of it is new."""
    chosen = random.Random(2)
    hits = misses = sent = received = 0.0
    samples = round(_HOURS * 3600 / _SAMPLE)
    for sample in range(samples + 1):
        share = sample / samples
        wave = 0.65 + 0.35 * math.sin(share * 9) + 0.2 * chosen.random()
        asked = 40 + 260 * share * wave
        missed = asked * (0.34 * (1 - share) ** 2 + 0.02 + 0.03 * chosen.random())
        hits, misses = hits + asked - missed, misses + missed
        sent, received = sent + asked * 9e6, received + missed * 9e6
        counted: Snapshot = {
            HITS.definition.name: {("default", "blob"): hits},
            MISSES.definition.name: {("default", "blob"): misses},
            SENT.definition.name: {("blob",): sent},
            RECEIVED.definition.name: {("default", "blob"): received},
        }
        history.take(now - (samples - sample) * _SAMPLE, counted)


def _named(config: Config) -> Config:
    """The configuration with the addresses that people have, in place of those of a test."""
    real = {"": "https://registry-1.docker.io", "ghcr.io": "https://ghcr.io"}
    upstreams = {
        name: replace(upstream, remoteurl=real[name])
        for name, upstream in config.proxy.upstreams.items()
    }
    http = replace(config.http, host="https://mirror.example")
    return replace(config, http=http, proxy=Proxy(upstreams))


@contextmanager
def remembering(built: House) -> Iterator[str]:
    """A console beside the one that runs, which remembers hours that never were; its address."""
    config = read(str(built.file), {}).config
    member = Member(config.http.debug.prometheus.folder)
    layout = Layout(config.storage.rootdirectory)
    broker = open_broker(config.queue.url, name="entrepot: pictures")
    claims = Claims(layout, config.fetcher.lease)
    history = History(dict)
    made_up(history, time.time())

    def collect() -> Snapshot:
        allowed: Snapshot = {
            metric.definition.name: {("default",): [count, 0.0]}
            for metric, count in ((QUOTA_LIMIT, 200.0), (QUOTA_LEFT, 137.0))
        }
        return {**member.collect(), **allowed}

    until(lambda: Figures(collect()).total(CACHED), 60, "the janitor to have counted")

    sources = Sources(layout, claims, broker, collect, member.collect_waiting)
    application = Application(_named(config), sources, history)
    server = Server(application.answer, application.refuse)
    listener = listen("127.0.0.1", 0)

    def take(connection: socket.socket) -> bool:
        server.take(connection.dup())
        return True

    debug = Listener(listener, {}, take)
    debug.start()
    try:
        yield f"http://localhost:{listener.getsockname()[1]}"
    finally:
        debug.close()
        claims.close()
        broker.close()
        member.leave()


def _show(built: House, folder: Path) -> None:
    with remembering(built) as url, sync_playwright() as playwright:
        pulls = _pull_slowly(built)
        browser = launch(playwright)
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page = _page(browser, url, scheme)
            _overview(page)
            page.screenshot(path=folder / f"console-overview-{scheme}.png")
        page = _page(browser, url, "light")
        page.goto("/cached/library/alpine")
        page.screenshot(path=folder / "console-repository.png", full_page=True)
        page = _page(browser, url, "light", width=390, height=844)
        _overview(page)
        page.screenshot(path=folder / "console-phone.png")
        browser.close()
    until(lambda: not any(pull.is_alive() for pull in pulls), 120, "the downloads to end")


def _pull_slowly(built: House) -> list[threading.Thread]:
    first = built.upstream.add_blob("library/postgres", random.Random(5).randbytes(60_000_000))
    second = built.other.add_blob("owner/tool", random.Random(6).randbytes(20_000_000))
    built.upstream.fail(f"*/blobs/{first}", Throttle(2_500_000))
    built.other.fail(f"*/blobs/{second}", Throttle(1_200_000))
    paths = [f"library/postgres/blobs/{first}"] * 5 + [f"ghcr.io/owner/tool/blobs/{second}"] * 2
    pulls = [threading.Thread(target=built.pull, args=(path,), daemon=True) for path in paths]
    for pull in pulls:
        pull.start()
    return pulls


def _overview(page: Page) -> None:
    page.goto("/?hours=6")
    expect(page.locator("#inflight")).to_contain_text("MB/s")
    expect(page.locator("#live")).to_have_text("live")


def _page(
    browser: Browser,
    url: str,
    scheme: Literal["light", "dark"],
    width: int = 1280,
    height: int = 1000,
) -> Page:
    viewport: ViewportSize = {"width": width, "height": height}
    context = browser.new_context(base_url=url, color_scheme=scheme, viewport=viewport)
    return context.new_page()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
