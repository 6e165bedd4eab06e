"""Many small images at once that nobody has had yet: what counts is the way of a request."""

from concurrent.futures import ThreadPoolExecutor

from bench import goods
from bench.client import Connection
from bench.figures import DIRECT, ENTREPOT, REGISTRY, Aim, Figure
from bench.goods import Image
from bench.parties import Party
from bench.row import Row, Spent
from bench.stage import Stage

_LAYER_BYTES = 50_000
_LATENCY = 0.02


class SmallImages(Row):
    """40 clients, each of which asks for manifest, configuration and two layers, one by one."""

    key = "small-images"
    figures = (
        Figure("seconds", "until the last has all", "s", 2),
        Figure("cpu", "CPU", "s", 2),
        Figure("requests", "requests to the upstream", ""),
    )
    parties = (ENTREPOT, REGISTRY, DIRECT)
    aims = (Aim("≤ 2.0 s", lambda of: of(ENTREPOT, "seconds") <= 2),)

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        return f"{self._count} cold small images at once ({self._count * 4} requests), 20 ms away"

    @property
    def _count(self) -> int:
        return self.effort.count(40)

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        images = [stage.goods.image(_LAYER_BYTES, _LAYER_BYTES) for _ in range(self._count)]
        stage.settle()
        stage.tell(latency=_LATENCY)
        spent = Spent(party)
        with ThreadPoolExecutor(len(images)) as pool:
            for _ in pool.map(lambda image: _pull(party.port, image), images):
                pass
        seconds, cpu = spent.seconds(), spent.cpu()
        stage.settle()
        figures = {"seconds": seconds, "cpu": cpu, "requests": stage.asked().requests}
        stage.check(party, images[0].by_tag, images[0].digest)
        stage.check(party, images[0].blobs[1].path, images[0].blobs[1].digest)
        return figures


def _pull(port: int, image: Image) -> None:
    with Connection(port) as connection:
        for path in goods.of_image(image):
            connection.get(path)
