"""entrepot's processes as they run in earnest, with the test as their operator."""

import hashlib
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.digest import Digest
from common.paths import Layout
from tests.parts.process import Process, free_port
from tests.waiting import until

ROLES = ("frontend", "fetcher", "fetcher", "janitor")


@dataclass(frozen=True)
class Got:
    """What a client got: status, the digest of the body, and whether it was cut short."""

    status: int
    digest: str
    size: int
    headers: dict[str, str]
    cut: bool
    body: bytes


class Cluster:
    """Two frontend workers, two fetchers, a janitor; each role a program of its own."""

    def __init__(
        self, folder: Path, remoteurl: str, queue_url: str | None = None, **sections: Any
    ) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.layout = Layout(str(self.root))
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self.root)}},
            "http": {"addr": self.host, "draintimeout": "10s"},
            "proxy": {"remoteurl": remoteurl},
            "frontend": {"workers": 2},
            "fetcher": {"lease": "5s", "readtimeout": "5s"},
            "janitor": {"grace": "1s"},
        }
        if queue_url is not None:
            config["queue"] = {"url": queue_url}
        for name, values in sections.items():
            config[name] = {**config.get(name, {}), **values}
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "config.yml"
        self.file.write_text(json.dumps(config))  # JSON is YAML
        self.running: list[tuple[str, Process]] = []
        self.env: dict[str, str] | None = None

    def start(self, *roles: str) -> None:
        """Start programs, and return once the frontend answers."""
        for role in roles:
            log = self.folder / f"{role}{len(self.running)}.log"
            argv = [".venv/bin/entrepot", role, str(self.file)]
            self.running.append((role, Process(argv, log=log, env=self.env)))
        if "frontend" in roles:
            until(lambda: self.answers("/v2/"), 20, f"the frontend; {self.logs()}")

    def answers(self, path: str) -> bool:
        """Whether the frontend says 200 to this path."""
        try:
            return self.get(path).status == 200
        except OSError:
            return False

    def of(self, role: str) -> list[Process]:
        """The running programs of a role."""
        return [process for name, process in self.running if name == role]

    def stop(self) -> None:
        """SIGTERM to all, the frontends first; every one must end well."""
        for role in dict.fromkeys(ROLES):
            for process in self.of(role):
                process.terminate(20)
        codes = [(role, process.exit_code) for role, process in self.running]
        self.running.clear()
        assert all(code in (0, -9) for _, code in codes), (codes, self.logs())

    def logs(self) -> str:
        """What all of them said."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def holder(self, digest: Digest) -> Process:
        """The fetcher that fills a blob now; waits for there to be one."""
        claim = until(lambda: self._claim(digest), 20, f"a claim; {self.logs()}")
        return next(process for process in self.of("fetcher") if process.pid == claim["pid"])

    def _claim(self, digest: Digest) -> Any:
        for path in Path(self.layout.fill(digest)).glob("claim.*"):
            try:
                return json.loads(path.read_text())
            except (OSError, ValueError):
                return None
        return None

    def get(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Got:
        """One request, read to its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            hasher, kept, size, cut = hashlib.sha256(), b"", 0, False
            try:
                while part := response.read(1 << 18):
                    hasher.update(part)
                    size += len(part)
                    kept = kept if len(kept) > 1 << 20 else kept + part
            except (http.client.IncompleteRead, ConnectionResetError):
                cut = True
            expected = response.getheader("Content-Length")
            if method == "GET" and response.status in (200, 206) and expected is not None:
                cut = cut or size != int(expected)
            found = {name.lower(): value for name, value in response.getheaders()}
            return Got(response.status, f"sha256:{hasher.hexdigest()}", size, found, cut, kept)
        finally:
            connection.close()

    def blob(self, repository: str, digest: Digest) -> Got:
        """GET of a blob."""
        return self.get(f"/v2/{repository}/blobs/{digest}")

    def until_committed(self, digest: Digest) -> Path:
        """Wait for a blob to be in the cache, which is a moment after its first client has it."""
        blob, fill = Path(self.layout.blob(digest)), Path(self.layout.fill(digest))
        until(lambda: blob.exists() and not fill.exists(), 20, f"the commit; {self.logs()}")
        return blob

    def crowd(self, count: int, repository: str, digest: Digest) -> list[Got]:
        """That many clients asking for a blob at the same time."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.blob(repository, digest), range(count)))


@contextmanager
def cluster(
    folder: Path, remoteurl: str, queue_url: str | None = None, *roles: str, **sections: Any
) -> Iterator[Cluster]:
    """A running cluster of `roles`, all of them by default; stopped in good order afterwards."""
    built = Cluster(folder, remoteurl, queue_url, **sections)
    built.start(*(roles or ROLES))
    try:
        yield built
    finally:
        built.stop()
