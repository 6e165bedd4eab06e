"""What a cache of a million blobs costs: hits, the janitor's walks, its memory.

    python -m bench.million FOLDER [BLOBS [REPOSITORIES]]

Below FOLDER, which must not exist, it makes a storage folder with so many tiny blobs (1,000,000 in
10,000 repositories) and one with a hundred, and removes both in the end. It prints

- how long a hit takes in each, asked in turns over one connection: each blob for the first time,
  and again. The median and the 99th percentile, in microseconds;
- how long a scrape of `/metrics` takes in each, beside 2,000 open streams of one large blob and
  the janitor's walks;
- how long the janitor's walks take, paced as they are to leave disk and processor to others: the
  sweep, and the survey for the size limit; the processor time of both, and the most memory the
  process had.

A blob takes six inodes: a million need about six millions of them and 15 GB.
"""

import http.client
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import O_CREAT, O_WRONLY, close, makedirs, mkdir, sysconf
from os import open as os_open
from os import write as os_write
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.row import MIB
from bench.rows.slow_readers import readers
from common.digest import Digest
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName
from tests.parts.process import Process, free_port
from tests.waiting import until

_FEW = 100
_SAMPLE = 2000
_WALK_SECONDS = 3600.0
_STREAMS = 2000
_SCRAPES = 200
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Made:
    """A storage folder with `blobs` blobs."""

    root: Path
    blobs: int
    repositories: int

    def of(self, number: int) -> tuple[RepositoryName, bytes]:
        """The repository and the content of a blob."""
        repository = number % self.repositories
        return RepositoryName(f"team{repository % 100}/app{repository}"), b"blob %d" % number

    def make(self) -> None:
        """Write all files; nothing is synced, no power will be cut."""
        layout = Layout(str(self.root))
        for number in range(self.blobs):
            self._add(layout, *self.of(number))

    def add(self, repository: RepositoryName, content: bytes) -> Digest:
        """One more."""
        return self._add(Layout(str(self.root)), repository, content)

    def _add(self, layout: Layout, repository: RepositoryName, content: bytes) -> Digest:
        digest = Digest.of(content)
        write(layout.blob(digest), content)
        write(layout.reference(Kind.LAYER, repository, digest), repository.encode())
        write(layout.link(Kind.LAYER, repository, digest), digest.encode())
        return digest


def write(path: str, content: bytes) -> None:
    """A file, and the folders it lies in."""
    folder = path.rpartition("/")[0]
    try:
        mkdir(folder)
    except FileNotFoundError:
        makedirs(folder)
    fd = os_open(path, O_WRONLY | O_CREAT)
    os_write(fd, content)
    close(fd)


def main() -> None:
    """Make, measure, remove."""
    folder = Path(sys.argv[1])
    blobs, repositories = (*map(int, sys.argv[2:]), *(1_000_000, 10_000)[len(sys.argv) - 2 :])
    folder.mkdir(parents=True)
    try:
        few = Made(folder / "few", _FEW, 10)
        many = Made(folder / "many", blobs, repositories)
        begun = time.monotonic()
        few.make()
        many.make()
        took = time.monotonic() - begun
        print(f"made {blobs:,} blobs in {repositories:,} repositories in {took:.0f} s", flush=True)
        measure_hits(few, many)
        for made in (few, many):
            measure_scrapes(made)
        measure_walks(many)
    finally:
        # Faster than shutil.rmtree, which is careful with links that others plant.
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@contextmanager
def role(made: Made, name: str, **sections: Any) -> Iterator[tuple[Process, int, Path]]:
    """A running frontend or janitor of a folder; its port and its log."""
    port, log = free_port(), made.root / f"{name}.log"
    config = {
        "version": 0.1,
        "log": {"level": "debug", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": str(made.root)}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "proxy": {"remoteurl": "http://127.0.0.1:9", "ttl": "168h"},
        "frontend": {"workers": 1},
        **sections,
    }
    file = made.root / f"{name}.json"
    file.write_text(json.dumps(config))
    process = Process([".venv/bin/entrepot", name, str(file)], log=log)
    try:
        yield process, port, log
    finally:
        process.terminate(30)


def measure_hits(few: Made, many: Made) -> None:
    """Ask both in turns."""
    chosen = random.Random(1)  # noqa: S311 - a choice, no secret
    with role(few, "frontend") as (_, port_few, _), role(many, "frontend") as (_, port_many, _):
        clients = [(few, connect(port_few)), (many, connect(port_many))]
        numbers = [[chosen.randrange(made.blobs) for _ in range(_SAMPLE)] for made, _ in clients]
        for title in ("first", "again"):
            taken: list[list[float]] = [[], []]
            for turn in range(_SAMPLE):
                for index, (made, connection) in enumerate(clients):
                    taken[index].append(hit(made, connection, numbers[index][turn]))
            for (made, _), seconds in zip(clients, taken, strict=True):
                report(f"{made.blobs:9,} blobs, {title}", seconds)
        for _, connection in clients:
            connection.close()


def connect(port: int, path: str = "/v2/") -> http.client.HTTPConnection:
    """A connection to a process that answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def answers() -> bool:
        try:
            connection.request("GET", path)
            return connection.getresponse().read() is not None
        except OSError:
            connection.close()
            return False

    until(answers, 30, "an answer")
    return connection


def hit(made: Made, connection: http.client.HTTPConnection, number: int) -> float:
    """Seconds that one took."""
    repository, content = made.of(number)
    path = f"/v2/{repository}/blobs/{Digest.of(content)}"
    begun = time.perf_counter()
    connection.request("GET", path)
    body = connection.getresponse().read()
    taken = time.perf_counter() - begun
    if body != content:
        raise RuntimeError(f"{path}: {body!r}")
    return taken


def report(title: str, seconds: list[float]) -> None:
    """One line."""
    median = statistics.median(seconds) * 1e6
    tail = statistics.quantiles(seconds, n=100)[-1] * 1e6
    print(f"hit, {title:26} median {median:7.0f} us   99 % {tail:7.0f} us", flush=True)


def measure_scrapes(made: Made) -> None:
    """Scrape everything that `entrepot serve` starts, beside many slow readers."""
    large = b"large" * (64 * MIB // 5)
    path = f"/v2/team0/app0/blobs/{made.add(RepositoryName('team0/app0'), large)}"
    debug = free_port()
    watched = {"addr": f"127.0.0.1:{debug}", "prometheus": {"enabled": True}}
    http = {"addr": f"127.0.0.1:{(port := free_port())}", "debug": watched}
    sections = {"http": http, "frontend": {"workers": 2, "connections": 10_000}}
    with role(made, "serve", **sections):
        connect(port).close()
        with readers(port, path, _STREAMS):
            taken = []
            for _ in range(_SCRAPES):
                time.sleep(_PAUSE_SECONDS)
                begun = time.perf_counter()
                with urlopen(f"http://127.0.0.1:{debug}/metrics", timeout=60) as answer:
                    told = answer.read().decode()
                taken.append(time.perf_counter() - begun)
    streams = re.search(r"^entrepot_open_streams ([0-9.e+]+)$", told, re.MULTILINE)
    if streams is None or float(streams[1]) < _STREAMS:
        raise RuntimeError(f"of {_STREAMS} streams {streams and streams[1]} are open")
    print(
        f"scrape, {made.blobs:9,} blobs, {_STREAMS:,} streams:"
        f" median {statistics.median(taken) * 1e3:.1f} ms, worst {max(taken) * 1e3:.1f} ms",
        flush=True,
    )


def measure_walks(made: Made) -> None:
    """Let a janitor start, with a limit that is never reached."""
    begun = time.monotonic()
    ended: dict[str, float] = {}
    with role(made, "janitor", janitor={"maxsize": "1PB"}) as (process, _, log):

        def both_ended() -> bool:
            text = log.read_text()
            for walk in ("sweep", "survey"):
                if f'"{walk} finished"' in text:
                    ended.setdefault(walk, time.monotonic() - begun)
            return len(ended) == 2

        until(both_ended, _WALK_SECONDS, "the walks to end")
        memory = _status(process.pid, "VmHWM")
        used = _processor_seconds(process.pid)
    for walk, seconds in ended.items():
        print(f"{walk:6} of {made.blobs:,} blobs, side by side: {seconds:6.0f} s")
    print(f"janitor: {used:.0f} s of processor time, at most {memory / 1024:.0f} MiB of memory")


def _status(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
