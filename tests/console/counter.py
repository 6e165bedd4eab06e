"""The console without sockets: requests are objects, and so are answers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from urllib.parse import parse_qsl

from common.broker import Broker
from common.broker.opening import open_broker
from common.claims import Claims
from common.config import Config
from entrepot.console.application import Application
from entrepot.console.history import History
from entrepot.console.watch import Sources
from entrepot.console.web import Refusal, Request, Response
from tests.common.configuring import config
from tests.common.insight.store import Store

PEER = "127.0.0.1"


class Counter:
    """Somebody at the counter, with a browser's memory for cookies and forms."""

    def __init__(self, application: Application, store: Store, broker: Broker) -> None:
        self.store = store
        self.broker = broker
        self._application = application
        self._cookie = ""

    def get(self, path: str) -> Response:
        """A page, or the page that says why not."""
        return self._ask("GET", path, {})

    def text(self, path: str) -> str:
        """A page that must be there, as HTML."""
        answer = self.get(path)
        assert answer.status == 200, answer.body.decode()
        return answer.body.decode()

    def rows(self, path: str) -> list[list[str]]:
        """The cells of a page's tables, as text."""
        rows = re.findall(r'<tr role="row">(.*?)</tr>', self.text(path), re.DOTALL)
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
        return [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in cells if row]

    def submit(self, page: str, action: str, **fields: str) -> Response:
        """A form of `page`, with what its hidden fields hold and `fields`."""
        found = re.findall(
            rf'<form method="post" action="{action}".*?>(.*?)</form>', self.text(page), re.DOTALL
        )
        hidden = re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', found[0])
        return self._ask("POST", action, {**dict(hidden), **fields})

    def _ask(self, method: str, target: str, form: dict[str, str]) -> Response:
        path, _, query = target.partition("?")
        headers = Message()
        headers["Host"] = "localhost:5001"
        headers["Cookie"] = self._cookie
        request = Request(method, path, dict(parse_qsl(query)), headers, form, PEER)
        try:
            answer = self._application.answer(request)
        except Refusal as refusal:
            return self._application.refuse(refusal)
        self._cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return answer


def configured(root: Path, more: str = "") -> Config:
    """With an upstream without a name, and two that have one."""
    return config(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {root}}}}}\n"
        "http: {debug: {addr: 'localhost:5001'}}\n"
        "proxy:\n  remoteurl: https://registry-1.docker.io\n  upstreams:\n"
        "    - {name: ghcr.io, remoteurl: 'https://ghcr.io', ttl: 0}\n"
        "    - {name: quay.io, remoteurl: 'https://quay.io'}\n"
        f"{more}"
    )


@contextmanager
def counter(folder: Path) -> Iterator[Counter]:
    """A console of an empty folder, with a queue."""
    store = Store(folder / "root")
    settings = configured(folder / "root")
    broker = open_broker(f"sqlite://{folder}/queue.db", name="entrepot: test")
    claims = Claims(store.layout, settings.fetcher.lease)
    try:
        sources = Sources(store.layout, claims, broker, dict, dict)
        yield Counter(Application(settings, sources, History(dict)), store, broker)
    finally:
        claims.close()
        broker.close()
