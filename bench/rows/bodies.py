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
        self.aim = None if discard else _AIM

    def prepare(self, stage: Stage) -> None:
        stage.tell()
        self._blob = stage.goods.blob(self._size)
        for name in self.parties:
            for _ in range(2):
                stage.check(stage.parties[name], self._blob.path, self._blob.digest)
                stage.settle()

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        spent = Spent(party)
        ending = time.perf_counter() + self.effort.seconds
        with ThreadPoolExecutor(_CLIENTS) as pool:
            got = sum(pool.map(lambda _: self._read(party.port, ending), range(_CLIENTS)))
        seconds = spent.seconds()
        return {"rate": got / seconds / 1e9, "cpu": spent.cpu() / (got / GIB)}

    def _read(self, port: int, ending: float) -> int:
        """Bytes that one client got until then; what it has begun it reads to the end."""
        got = 0
        with Connection(port, discard=self._discard) as connection:
            while not got or time.perf_counter() < ending:
                got += connection.get(self._blob.path).size
        return got


_AIM = Aim(
    "≤ 0.32 s/GiB at nginx's rate, or ≤ 0.45 s/GiB at 2.3 GB/s",
    lambda of: (
        (of(ENTREPOT, "cpu") <= 0.32 and of(ENTREPOT, "rate") >= of(NGINX, "rate"))
        or (of(ENTREPOT, "cpu") <= 0.45 and of(ENTREPOT, "rate") >= 2.3)
    ),
)


def bodies(effort: Effort) -> Sequence[Row]:
    """Both sizes, both ways."""
    return [
        Body(effort, mebibytes, discard=discard)
        for mebibytes in (16, 200)
        for discard in (False, True)
    ]
