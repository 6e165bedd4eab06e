"""One image of many layers that nobody has had yet, pulled as docker does."""

from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from bench.client import Connection
from bench.figures import DIRECT, ENTREPOT, REGISTRY, Aim, Figure
from bench.goods import Blob, Image
from bench.parties import Party
from bench.row import Row, Spent
from bench.stage import Stage

_LAYERS = 12
_LAYER_BYTES = 5_000_000
_AT_A_TIME = 3
_RATE = 20e6
_LATENCY = 0.05


class WholeImage(Row):
    """Manifest, then configuration and 12 layers of 5 MB over three connections."""

    key = "whole-image"
    figures = (
        Figure("seconds", "time", "s", 2),
        Figure("cpu", "CPU", "s", 2),
        Figure("requests", "requests to the upstream", ""),
    )
    parties = (ENTREPOT, REGISTRY, DIRECT)
    title = "a whole cold image of 12 layers of 5 MB, 3 at a time, 20 MB/s a connection, 50 ms away"
    aims = (Aim("faster than direct", lambda of: of(ENTREPOT, "seconds") < of(DIRECT, "seconds")),)

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        image = stage.goods.image(*[self.effort.size(_LAYER_BYTES)] * _LAYERS)
        stage.settle()
        stage.tell(rate=_RATE, latency=_LATENCY)
        spent = Spent(party)
        _pull(party.port, image)
        seconds = spent.seconds()
        stage.settle()
        figures = {"seconds": seconds, "cpu": spent.cpu(), "requests": stage.asked().requests}
        for blob in image.blobs:
            stage.check(party, blob.path, blob.digest)
        stage.goods.forget(*image.blobs)
        return figures


def _pull(port: int, image: Image) -> None:
    left: SimpleQueue[Blob] = SimpleQueue()
    for blob in image.blobs:
        left.put(blob)
    with Connection(port) as first:
        first.get(image.by_tag)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            others = [pool.submit(_pull_rest, port, left) for _ in range(_AT_A_TIME - 1)]
            _take(first, left)
            for other in others:
                other.result()


def _pull_rest(port: int, left: SimpleQueue[Blob]) -> None:
    with Connection(port) as connection:
        _take(connection, left)


def _take(connection: Connection, left: SimpleQueue[Blob]) -> None:
    while True:
        try:
            blob = left.get_nowait()
        except Empty:
            return
        connection.get(blob.path)
