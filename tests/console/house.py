"""`entrepot serve` with its console, two upstreams, and what is in them."""

import http.client
import json
import os
import random
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from common.broker import Broker
from common.broker.opening import open_broker
from common.digest import Digest
from common.messages import FetchBlob, Queue
from common.paths import Layout
from common.reference import RepositoryName
from common.source import Source
from tests.common.insight.store import image, index
from tests.entrepot.sessions import members
from tests.parts.counting import Upstream
from tests.parts.process import Process, free_port
from tests.waiting import until

ACCOUNT = ("ada", "lovelace")
_OCI = "application/vnd.oci.image"


class House:
    """A machine whose operator is the test; `upstream` is the default one, `other` is ghcr.io.

    Of `debug` all but `maintenance` goes into `http.debug`.
    """

    def __init__(self, folder: Path, upstream: Upstream, other: Upstream, **debug: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.upstream, self.other = upstream, other
        self.layout = Layout(str(folder / "root"))
        self.host = f"127.0.0.1:{free_port()}"
        self.debug = debug.pop("addr", f"127.0.0.1:{free_port()}")
        self.url = f"http://{self.debug}"
        self.queue_url = f"sqlite://{folder}/queue.db"
        self.file = folder / "config.yml"
        self.config: dict[str, Any] = {
            "version": 0.1,
            "log": {"formatter": "json"},
            "storage": {
                "filesystem": {"rootdirectory": self.layout.root},
                "maintenance": debug.pop("maintenance", {}),
            },
            "http": {
                "addr": self.host,
                "draintimeout": "5s",
                "debug": {"addr": self.debug, **debug},
            },
            "proxy": {
                "remoteurl": upstream.url,
                "upstreams": [{"name": "ghcr.io", "remoteurl": other.url}],
            },
            "queue": {"url": self.queue_url},
            "frontend": {"workers": 2},
            "fetcher": {"processes": 1, "segments": 1},
            "janitor": {"grace": "1s"},
        }
        self._process: Process | None = None

    def start(self, command: str = "serve", expected: int = 0) -> "House":
        """Start everything, or the console alone; return once clients and the console are answered.

        The console's answer is `expected`, by default its page or the question for an account.
        """
        self.file.write_text(json.dumps(self.config))  # JSON is YAML
        argv = [".venv/bin/entrepot", command, str(self.file)]
        self._process = Process(argv, log=self.folder / "serve.log")
        if command == "serve":
            until(lambda: self.status("/v2/", self.host) == 200, 30, "the frontend")
        wanted = {expected} if expected else {200, 401}
        until(lambda: self.status("/") in wanted, 30, "the console")
        return self

    def stop(self) -> None:
        """SIGTERM; it must end well."""
        process, self._process = self._process, None
        if process is not None:
            assert process.terminate(30) == 0, self.log()[-4000:]

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None
        return self._process.pid

    def console(self) -> int:
        """The console's process."""
        titles = members(self.pid)
        return next(pid for pid, title in titles.items() if title == "entrepot: console")

    def kill_console(self) -> None:
        """Kill it."""
        os.kill(self.console(), signal.SIGKILL)

    def log(self) -> str:
        """What all processes said."""
        return (self.folder / "serve.log").read_text(errors="replace")

    def events(self, event: str) -> list[dict[str, Any]]:
        """Lines of the log, by their constant text."""
        lines = [line for line in self.log().splitlines() if f'"{event}"' in line]
        return [json.loads(line) for line in lines]

    def status(self, path: str, host: str = "") -> int:
        """What a GET is answered with; 0 where nobody answers."""
        connection = http.client.HTTPConnection(host or self.debug, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def pull(self, path: str) -> bytes:
        """Something below /v2/, whole."""
        with urllib.request.urlopen(f"http://{self.host}/v2/{path}", timeout=60) as answer:
            content: bytes = answer.read()
            return content

    def pull_image(self, name: str, tag: str) -> None:
        """A tag with all that it is made of."""
        manifest = json.loads(self.pull(f"{name}/manifests/{tag}"))
        for child in manifest.get("manifests", []):
            self.pull_image(name, child["digest"])
        for part in [manifest.get("config"), *manifest.get("layers", [])]:
            if part:
                self.pull(f"{name}/blobs/{part['digest']}")

    def broker(self) -> Broker:
        """A connection of the test's own to the queue."""
        return open_broker(self.queue_url, name="entrepot: test")

    def bury(self, count: int, reason: str) -> None:
        """Put letters into the dead-letter queue, of which nobody knows an upstream."""
        refusing = open_broker(self.queue_url, name="entrepot: test")
        refusing.consume([Queue.PREFETCH], 1, lambda delivery: delivery.reject(reason))
        for number in range(count):
            source = Source("", RepositoryName(f"library/lost{number}"))
            job = FetchBlob(source=source, digest=Digest.of(str(number).encode()))
            refusing.publish(Queue.PREFETCH, job).result(10)
        until(lambda: refusing.dead() >= count, 20, "dead letters")
        refusing.close()


def publish(
    upstream: Upstream, name: str, tag: str | None, layers: list[bytes], config: bytes = b"{}"
) -> Digest:
    """Put an image into an upstream."""
    for content in (config, *layers):
        upstream.add_blob(name, content)
    media_type = f"{_OCI}.manifest.v1+json"
    return upstream.add_manifest(name, tag, image(layers), media_type)


def publish_index(upstream: Upstream, name: str, tag: str, sizes: dict[str, int]) -> Digest:
    """Put an index into an upstream, with an image of one layer for each platform."""
    images = {
        platform: publish(upstream, name, None, [random.Random(platform).randbytes(size)])
        for platform, size in sizes.items()
    }
    return upstream.add_manifest(name, tag, index(images), f"{_OCI}.index.v1+json")


@contextmanager
def house(folder: Path, command: str = "serve", **debug: Any) -> Iterator[House]:
    """One that runs, or of which nothing but the console does."""
    with Upstream() as upstream, Upstream() as other:
        built = House(folder, upstream, other, **debug)
        try:
            yield built.start(command)
        finally:
            with suppress(AssertionError):
                upstream.stop()
            built.stop()
