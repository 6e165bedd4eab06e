"""The story that `entrepot demo` tells."""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from entrepot.demo.image import LAYERS, Image, make_image
from entrepot.demo.parts import REPOSITORY, TAG, Cache, Failed, Program, Upstream, pull

P = TypeVar("P", bound=Program)

CLIENTS = 4

# Headers and small answers are not content, but a registry counts them among what it has written.
_ALLOWANCE = 1.02

_PACKAGES = {"docker-registry": "docker-registry", "skopeo": "skopeo"}


def run() -> int:
    """Tell it; 0 when everything was as it should be, 1 when not."""
    missing = [program for program in _PACKAGES if shutil.which(program) is None]
    if missing:
        packages = " ".join(_PACKAGES[program] for program in missing)
        print(f"missing: {', '.join(missing)} (Debian: apt-get install {packages})")
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="entrepot-demo-") as folder:
            _tell(Path(folder))
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    return 0


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _tell(folder: Path) -> None:
    image = make_image(folder / "image")
    with _running(Upstream(folder)) as upstream:
        upstream.push(image)
        _say("upstream", f"docker-registry at {upstream.address} has {REPOSITORY}:{TAG},")
        _say("", f"{LAYERS} layers, {_megabytes(image.size)}, {image.digest[:19]}…")
        begun = time.monotonic()
        with _running(Cache(folder, upstream)) as cache:
            _say("cache", f"entrepot at {cache.address}, ready after {_since(begun)}")
            try:
                _Pulls(folder, image, upstream, cache).all()
            except Failed as failure:
                raise Failed(f"{failure}\nThe cache's last words:\n{cache.tail()}") from None
            _ending(cache)


@dataclass(frozen=True)
class _Pulls:
    """The pulls, in the story's order."""

    folder: Path
    image: Image
    upstream: Upstream
    cache: Cache

    def all(self) -> None:
        self.cold()
        self.warm()
        self.alone()

    def cold(self) -> None:
        seconds, sent = self._pull("cold", CLIENTS)
        delivered, times = CLIENTS * self.image.size, sent / self.image.size
        _say("cold", f"{CLIENTS} clients at once: {seconds:.2f} s, {_megabytes(delivered)} in all;")
        _say("", f"the upstream sent {_megabytes(sent)}, {times:.2f} times the image")
        if times > _ALLOWANCE:
            raise Failed("the upstream had to send more than the image")

    def warm(self) -> None:
        seconds, sent = self._pull("warm", 1)
        _say("warm", f"one more client: {seconds:.2f} s; the upstream sent {_megabytes(sent)}")
        if sent:
            raise Failed("the upstream was asked for what the cache has")

    def alone(self) -> None:
        self.upstream.stop()
        seconds, _ = self._pull("alone", 1)
        _say("alone", f"the upstream is stopped; one more client, by tag: {seconds:.2f} s")

    def _pull(self, name: str, clients: int) -> tuple[float, int]:
        """How many seconds it took, and how many bytes the upstream sent; checks what clients got."""
        before = self.upstream.sent()
        begun = time.monotonic()
        targets = [self.folder / f"{name}-{number}" for number in range(clients)]
        digests = pull(self.cache.address, targets)
        seconds = time.monotonic() - begun
        if set(digests) != {self.image.digest}:
            raise Failed(f"clients got {digests}, not {self.image.digest}")
        return seconds, self.upstream.sent() - before


def _ending(cache: Cache) -> None:
    begun = time.monotonic()
    status = cache.stop()
    if status != 0:
        raise Failed(f"entrepot ended with status {status}:\n{cache.tail()}")
    _say("end", f"entrepot has drained and stopped in {_since(begun)}")


@contextmanager
def _running(program: P) -> Iterator[P]:
    try:
        yield program
    finally:
        program.stop()


def _say(subject: str, text: str) -> None:
    label = f"{subject:<9}"
    if subject and sys.stdout.isatty():
        label = f"\033[1m{label}\033[0m"
    print(f"{label} {text}", flush=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.2f} s"
