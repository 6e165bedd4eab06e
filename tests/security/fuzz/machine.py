"""`entrepot serve` between the clients and the upstream, and what must be true of it afterwards."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.parts.process import Process, free_port
from tests.security.fuzz.canaries import IN_NO_LOG, PASSWORD, USER
from tests.security.fuzz.content import BLOB, MANIFEST, REPOSITORY, digest_of
from tests.security.fuzz.upstream import Upstream
from tests.security.hostile import files_below
from tests.waiting import until

_UPSTREAMS = 40


@dataclass
class Figures:
    """What a run came to; `wrong` is what must not be."""

    requests: int = 0
    answers: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    peak_megabytes: int = 0
    log_lines: int = 0
    files: int = 0
    wrong: list[str] = field(default_factory=list)


class Machine:
    """entrepot on a free port, its folder beside files that nobody may touch."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self._folder, self._root = folder, folder / "cache" / "root"
        self.port = free_port()
        self._log = folder / "entrepot.log"
        outside = folder / "cache" / "outside"
        outside.mkdir(parents=True)
        for name in ("secret", "evil", "passwd"):
            (outside / name).write_text("not yours")
        url = f"http://127.0.0.1:{upstream.port}"
        account = {"username": USER, "password": PASSWORD}
        named = [
            {"name": f"up{number:02}", "remoteurl": url, **account} for number in range(_UPSTREAMS)
        ]
        config = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self._root)}},
            "http": {"addr": f"127.0.0.1:{self.port}", "draintimeout": "5s"},
            "proxy": {"remoteurl": url, **account, "upstreams": named, "tagttl": "1h"},
            "frontend": {"workers": 2, "patience": "2s"},
            "fetcher": {"attempts": 1, "connecttimeout": "2s", "readtimeout": "1s", "slots": 16},
        }
        file = folder / "config.yml"
        file.write_text(json.dumps(config))
        self._process = Process([".venv/bin/entrepot", "serve", str(file)], log=self._log)
        until(lambda: "entrepot serves" in self._process.output(), 30, "entrepot to serve")
        upstream.honest = True
        self._fill()
        upstream.honest = False
        self._before = files_below(folder / "cache" / "outside")
        self._beside = {path.name for path in (folder / "cache").iterdir()}
        self._pids = set(self._family())

    def _fill(self) -> None:
        """Have something cached, whatever tries that takes with such an upstream."""
        for path in (
            f"manifests/{digest_of(MANIFEST)}",
            f"blobs/{digest_of(BLOB)}",
            "manifests/v1",
        ):
            until(lambda path=path: self._has(path), 60, f"{path} to be cached")  # type: ignore[misc]

    def _has(self, path: str) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/v2/{REPOSITORY}/{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                answer.read()
                return True
        except (OSError, HTTPException):
            return False

    def _family(self) -> Iterator[int]:
        """Process ids of entrepot and all it started."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        wanted = [self._process.pid]
        while wanted:
            pid = wanted.pop()
            yield pid
            wanted += [child for child, parent in parents.items() if parent == pid]

    def check(self, figures: Figures) -> None:
        """Whether all is as it was, and nothing was said that is nobody's business."""
        pids = set(self._family())
        if pids != self._pids:
            figures.wrong.append(f"processes were {sorted(self._pids)}, are {sorted(pids)}")
        figures.processes = len(pids)
        figures.peak_megabytes = max(_peak(pid) for pid in pids) // 1024
        if not self._has(f"blobs/{digest_of(BLOB)}"):
            figures.wrong.append("a cached blob is not served any more")

    def check_files_and_log(self, figures: Figures) -> None:
        """The same for what lies on disk; after the end."""
        cache = self._folder / "cache"
        if files_below(cache / "outside") != self._before:
            figures.wrong.append("files outside the root were changed")
        if {path.name for path in cache.iterdir()} != self._beside:
            figures.wrong.append(
                f"new beside the root: {sorted(path.name for path in cache.iterdir())}"
            )
        inside = {path.name for path in self._root.iterdir()}
        if not inside <= {"docker", "entrepot"}:
            figures.wrong.append(f"new in the root: {sorted(inside)}")
        figures.files = sum(path.is_file() for path in self._root.rglob("*"))
        text = self._log.read_text(errors="replace")
        figures.log_lines = text.count("\n")
        figures.wrong += [f"in the log: {secret}" for secret in IN_NO_LOG if secret in text]
        figures.wrong += [
            f"in a file: {secret} {path}"
            for path in self._root.rglob("*")
            if path.is_file()
            for secret in IN_NO_LOG
            if secret.encode() in path.read_bytes()
        ]
        broken = re.findall(
            r"^.*(?:Traceback|job broke|request failed|Error in ASGI).*$", text, re.MULTILINE
        )
        figures.wrong += [f"{len(broken)} errors of ours in the log: {broken[0]}"] if broken else []

    def stop(self, figures: Figures) -> None:
        """SIGTERM; it must end well."""
        code = self._process.terminate(30)
        if code != 0:
            figures.wrong.append(f"ended with {code}")


def _peak(pid: int) -> int:
    """The most memory a process ever had, in KiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def run(folder: Path, *, seed: int, requests: int, answers: int, processes: int = 2) -> Figures:
    """Fuzz until at least so many requests were sent and so many answers given."""
    upstream, figures = Upstream(seed), Figures()
    upstream.start()
    machine = Machine(folder, upstream)
    began = time.monotonic()
    try:
        upstream.answered = 0
        round_ = 0
        while figures.requests < requests or upstream.answered < answers:
            # Mostly what is cached or refused at once, until it is the answers that are missing.
            share = (
                0.95 if figures.requests >= requests else min(0.9, 1.2 * answers / max(requests, 1))
            )
            left = max(requests - figures.requests, 0) or answers - upstream.answered
            each = min(max(left // processes, 50), 5000)
            _round(machine.port, figures, seed + processes * round_, each, share, processes)
            round_ += 1
        figures.seconds = time.monotonic() - began
        machine.check(figures)
    finally:
        machine.stop(figures)
        upstream.stop()
    figures.answers = upstream.answered
    figures.wrong += [f"credentials elsewhere: {head}" for head in upstream.stolen]
    machine.check_files_and_log(figures)
    return figures


def _round(port: int, figures: Figures, seed: int, each: int, share: float, processes: int) -> None:
    argv = [sys.executable, "-m", "tests.security.fuzz.clients", str(port)]
    running = [
        subprocess.Popen([*argv, str(seed + number), str(each), str(share)], stdout=subprocess.PIPE)
        for number in range(processes)
    ]
    for process in running:
        output, _ = process.communicate(timeout=1800)
        report = json.loads(output)
        figures.requests += report["sent"]
        figures.statuses.update(report["statuses"])
        figures.wrong += report["wrong"]
