"""The real parts of the demonstration: an upstream, the cache in front of it, and clients."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from common.digest import Digest
from entrepot.address import Address
from entrepot.demo.image import Image
from entrepot.kernel import die_with_parent
from entrepot.probe import Probe

REPOSITORY = "demo/app"
TAG = "1"

_START_SECONDS = 30.0
_PULL_SECONDS = 60.0
_STOP_SECONDS = 40.0
_TELLING_SECONDS = 20.0


class Failed(Exception):
    """The demonstration does not show what it should; the text says what happened instead."""


class Program:
    """A program that runs until it is stopped, or until we end."""

    def __init__(self, command: Sequence[str], log: Path, address: Address) -> None:
        self.address = address
        self._log = log
        try:
            with log.open("wb") as output, _undisturbed():
                self._process = _start(command, output=output.fileno())
            self._until_it_answers()
        except BaseException:
            with suppress(AttributeError):  # it could not be started
                self.stop()
            raise

    def _until_it_answers(self) -> None:
        probe = Probe(self.address)
        deadline = time.monotonic() + _START_SECONDS
        while not probe.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self._process.args!r} does not answer:\n{self.tail()}")
            time.sleep(max(0.0, probe.due - time.monotonic()))

    def stop(self) -> int:
        """SIGTERM, and SIGKILL when that does not help; the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()

    def lines(self) -> list[str]:
        """What it has logged."""
        return self._log.read_text(errors="replace").splitlines()

    def tail(self) -> str:
        """The end of its log, for people."""
        return "\n".join(self.lines()[-20:])


class Upstream(Program):
    """Debian's docker-registry, which takes images and counts what it sends."""

    def __init__(self, folder: Path) -> None:
        address = Address("127.0.0.1").settled()
        config = folder / "upstream.yml"
        config.write_text(
            "version: 0.1\n"
            "log: {level: debug, formatter: json, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'upstream'}}}}}\n"
            f"http: {{addr: '{address.configured}'}}\n"
        )
        command = ("docker-registry", "serve", str(config))
        super().__init__(command, folder / "upstream.log", address)

    def push(self, image: Image) -> None:
        """Put the image there as it is."""
        pushing = _skopeo(
            "--preserve-digests", "--dest-tls-verify=false",
            f"oci:{image.layout}", _reference(self.address),
        )  # fmt: skip
        _finish(pushing)

    def sent(self) -> int:
        """How many bytes of the image's content it has sent so far; raises Failed.

        An answer is told of when all of it has been taken, so those under way are waited for.
        """
        deadline = time.monotonic() + _TELLING_SECONDS
        while True:
            lines = self.lines()
            begun = sum('"authorizing request"' in line for line in lines)
            ended = sum('"response completed' in line for line in lines)
            if begun == ended:
                return _written(lines)
            if time.monotonic() > deadline:
                raise Failed(f"of {begun} requests the upstream has told {ended}:\n{self.tail()}")
            time.sleep(0.02)


def _written(lines: Sequence[str]) -> int:
    answers = [json.loads(line) for line in lines if '"response completed"' in line]
    return sum(
        int(answer["http.response.written"])
        for answer in answers
        if answer["http.request.method"] == "GET"
        and answer["http.request.uri"].startswith(f"/v2/{REPOSITORY}/")
    )


class Cache(Program):
    """`entrepot serve` in front of an upstream."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        address = Address("127.0.0.1").settled()
        config = folder / "entrepot.yml"
        config.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'cache'}}}}}\n"
            f"http: {{addr: '{address.configured}'}}\n"
            f"proxy: {{remoteurl: '{upstream.address}'}}\n"
        )
        command = (sys.executable, "-P", "-m", "entrepot", "serve", str(config))
        super().__init__(command, folder / "entrepot.log", address)


def pull(address: Address, targets: Sequence[Path]) -> list[Digest]:
    """Pull the image with one client for each target folder, all at once; the digests they have."""
    clients = [
        _skopeo("--src-tls-verify=false", _reference(address), f"dir:{target}")
        for target in targets
    ]
    for client in clients:
        _finish(client)
    return [_digest(target / "manifest.json") for target in targets]


def _digest(file: Path) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}")


def _reference(address: Address) -> str:
    return f"docker://{address.configured}/{REPOSITORY}:{TAG}"


def _skopeo(*arguments: str) -> subprocess.Popen[bytes]:
    # No policy file decides here what a machine's administrator wants pulled: it is our own image.
    return _start(("skopeo", "--insecure-policy", "copy", "--quiet", *arguments))


def _finish(client: subprocess.Popen[bytes]) -> None:
    try:
        _, complaint = client.communicate(timeout=_PULL_SECONDS)
    except subprocess.TimeoutExpired:
        client.kill()
        raise Failed("a client did not finish in a minute") from None
    if client.returncode != 0:
        raise Failed(f"a client failed: {complaint.decode(errors='replace').strip()}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have signals wait: one that comes while a child is being made would leave it to nobody."""
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for late in came:
        signal.raise_signal(late)


def _start(command: Sequence[str], output: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if output is None else output,
        stderr=subprocess.PIPE if output is None else output,
        # Neither the upstream nor the cache is to follow settings made for something else.
        env={name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")},
        process_group=0,
        preexec_fn=_become_child(os.getpid()),  # noqa: PLW1509 - this program has one thread
    )


def _become_child(parent: int) -> Callable[[], None]:
    return lambda: die_with_parent(parent)
