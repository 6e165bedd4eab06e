"""One image with one large layer that nobody has had yet, pulled in docker's order."""

from bench import goods
from bench.client import Connection
from bench.figures import DIRECT, ENTREPOT, REGISTRY, Aim, Figure
from bench.parties import Party
from bench.row import Row, Spent
from bench.stage import Stage

_LAYER_BYTES = 60_000_000
_RATE = 15e6
_LATENCY = 0.05


class DockerPull(Row):
    """Manifest, then configuration, then the layer: by then it is being fetched ahead."""

    key = "config-first"
    figures = (
        Figure("seconds", "time", "s", 2),
        Figure("bytes", "upstream's bytes / the image's", "×", 2),
        Figure("requests", "requests to the upstream", ""),
    )
    parties = (ENTREPOT, REGISTRY, DIRECT)
    aim = Aim(
        "≤ 0.5 × direct, 1.00 × the bytes",
        lambda of: (
            of(ENTREPOT, "seconds") <= 0.5 * of(DIRECT, "seconds")
            and round(of(ENTREPOT, "bytes"), 2) == 1
        ),
    )

    @property
    def title(self) -> str:  # type: ignore[override]
        """With the numbers of this run."""
        size = self.effort.size(_LAYER_BYTES) / 1e6
        return f"a cold image of one {size:.0f} MB layer, config first, 15 MB/s a connection, 50 ms away"

    def measure(self, stage: Stage, party: Party) -> dict[str, float]:
        image = stage.goods.image(self.effort.size(_LAYER_BYTES))
        stage.settle()
        stage.tell(rate=_RATE, latency=_LATENCY)
        spent = Spent(party)
        with Connection(party.port) as connection:
            got = sum(connection.get(path).size for path in goods.of_image(image))
        seconds = spent.seconds()
        stage.settle()
        asked = stage.asked()
        for blob in image.blobs:
            stage.check(party, blob.path, blob.digest)
        stage.goods.forget(*image.blobs)
        return {
            "seconds": seconds,
            "bytes": asked.sent_bytes / got,
            "requests": asked.requests,
        }
