"""Large blobs that are cached, to four clients."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.client import Connection
from bench.effort import Effort
from bench.figures import ENTREPOT, NGINX, REGISTRY, Aim, Figure
from bench.parties import Party
from bench.row import GIB, MIB, Row, Spent
from bench.stage import Stage

_CLIENTS = 4


class Body(Row):
    """A blob of `mebibytes`. With `discard` the kernel throws away what the clients get, so that
    the reader's copying, which on a network is another machine's, is not paid here.
    """

    figures = (
        Figure("rate", "throughput", "GB/s", 2, more_is_better=True),
        Figure("cpu", "CPU", "s/GiB", 2),
    )
    parties = (ENTREPOT, REGISTRY, NGINX)

    def __init__(self, effort: Effort, mebibytes: int, *, discard: bool) -> None:
        super().__init__(effort)
        self._size = effort.size(mebibytes * MIB)
        self._discard = discard
        self.key = f"blob-{mebibytes}-{'discarded' if discard else 'read'}"
        how = "discarded unread" if discard else "read"
        self.title = f"{mebibytes} MiB blob, hit, {_CLIENTS} clients, {how}"
        self.aims = () if discard else (_AIM,)

    def prepare(self, stage: Stage) -> None:
        stage.tell()
        self._blob = stage.goods.blob(self._size)
        for name in self.parties:
            for _ in range(2):
                stage.check(stage.parties[name], self._blob.path, self._blob.digest)
                stage.settle()

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        return _throughput(party, self._blob.path, self.effort.seconds, discard=self._discard)


class Copied(Row):
    """entrepot with `frontend.sendfile` true and false, one after the other, both fresh."""

    key = "blob-copied"
    figures = (
        Figure("rate", "by sendfile", "GB/s", 2, more_is_better=True),
        Figure("cpu", "CPU", "s/GiB", 2),
        Figure("copied-rate", "frontend.sendfile: false", "GB/s", 2, more_is_better=True),
        Figure("copied-cpu", "CPU of that", "s/GiB", 2),
    )
    parties = (ENTREPOT,)

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        return f"{self._size // MIB} MiB blob, hit, {_CLIENTS} clients, read: sent or copied"

    @property
    def _size(self) -> int:
        return self.effort.size(200 * MIB)

    def prepare(self, stage: Stage) -> None:
        stage.tell()
        self._blob = stage.goods.blob(self._size)

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        found: dict[str, float] = {}
        for prefix, sendfile in (("", True), ("copied-", False)):
            with stage.apart(frontend={"sendfile": sendfile}) as apart:
                self._warm(stage, apart)
                figures = _throughput(apart, self._blob.path, self.effort.seconds)
                found |= {f"{prefix}{key}": value for key, value in figures.items()}
        return found

    def _warm(self, stage: Stage, party: Party) -> None:
        for _ in range(2):
            stage.check(party, self._blob.path, self._blob.digest)
            stage.settle()


def _throughput(
    party: Party, path: str, seconds: float, *, discard: bool = False
) -> dict[str, float]:
    spent = Spent(party)
    ending = time.perf_counter() + seconds
    with ThreadPoolExecutor(_CLIENTS) as pool:
        got = sum(pool.map(lambda _: _read(party.port, path, ending, discard), range(_CLIENTS)))
    taken = spent.seconds()
    return {"rate": got / taken / 1e9, "cpu": spent.cpu() / (got / GIB)}


def _read(port: int, path: str, ending: float, discard: bool) -> int:
    """Bytes that one client got until then; what it has begun it reads to the end."""
    got = 0
    with Connection(port, discard=discard) as connection:
        while not got or time.perf_counter() < ending:
            got += connection.get(path).size
    return got


_AIM = Aim(
    "≤ 0.32 s/GiB at nginx's rate, or ≤ 0.45 s/GiB at 2.3 GB/s",
    lambda of: (
        (of(ENTREPOT, "cpu") <= 0.32 and of(ENTREPOT, "rate") >= of(NGINX, "rate"))
        or (of(ENTREPOT, "cpu") <= 0.45 and of(ENTREPOT, "rate") >= 2.3)
    ),
)


def bodies(effort: Effort) -> Sequence[Row]:
    """Both sizes, both ways; and what sendfile saves."""
    return [
        *(
            Body(effort, mebibytes, discard=discard)
            for mebibytes in (16, 200)
            for discard in (False, True)
        ),
        Copied(effort),
    ]
