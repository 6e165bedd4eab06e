"""What the upstream has, and what is therefore right: images whose layers are shared."""

import random
import threading
from dataclasses import dataclass
from pathlib import Path

from common.digest import Digest
from tests.chaos.plan import Plan
from tests.parts.content import Content
from tests.parts.images import Layer, Layout, random_layer

MOVING = "latest"
ABSENT = "never-pushed"

_SMALLEST = 30_000


@dataclass(frozen=True)
class Image:
    """An image manifest's digest, and the blobs a client pulls after it."""

    digest: Digest
    blobs: tuple[Digest, ...]


class Goods:
    """Repositories at the upstream; clients judge what they get by it."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Make everything anew from the plan's seed; `folder` keeps the bytes."""
        self.content = Content()
        self.images: dict[str, list[Image]] = {}
        self._plan = plan
        self._lock = threading.Lock()
        self._pointed_to: dict[tuple[str, str], set[Digest]] = {}
        self._layout = Layout(folder)
        self._fill(random.Random(plan.seed))
        self.repositories = list(self.images)
        self.bytes = {
            digest: content
            for repository in self.content.repositories.values()
            for digest, content in (
                *repository.blobs.items(),
                *((name, body) for name, (_, body) in repository.manifests.items()),
            )
        }

    def _fill(self, rng: random.Random) -> None:
        sizes = [self._size(rng) for _ in range(self._plan.layers)]
        layers = [random_layer(size, rng.getrandbits(32)) for size in sizes]
        for number in range(self._plan.repositories):
            repository = f"team{number % 2}/app{number}"
            self.images[repository] = [
                self._add(repository, f"v{each}", rng.sample(layers, rng.randint(2, 5)))
                for each in range(self._plan.images)
            ]
            self.move(repository, self.images[repository][0])

    def _size(self, rng: random.Random) -> int:
        # Many small ones and few large ones, as layers are.
        return int(_SMALLEST * (self._plan.largest / _SMALLEST) ** rng.random())

    def _add(self, repository: str, tag: str, layers: list[Layer]) -> Image:
        name = f"{repository.replace('/', '-')}-{tag}"
        digest = self._layout.add_image(name, layers)
        self._layout.put_into(self.content, name, repository, as_tag=tag)
        self._pointed_to[repository, tag] = {digest}
        return Image(digest, tuple(self._layout.blobs_of(digest)))

    def move(self, repository: str, image: Image) -> None:
        """Point the moving tag at another image."""
        with self._lock:
            self._pointed_to.setdefault((repository, MOVING), set()).add(image.digest)
        self.content.repositories[repository].tags[MOVING] = image.digest

    def tags(self, repository: str) -> list[str]:
        """Every tag of a repository."""
        return sorted(self.content.repositories[repository].tags)

    def image(self, repository: str, tag: str, digest: str) -> Image | None:
        """The image of this digest, if the tag has ever pointed to it."""
        with self._lock:
            if digest not in self._pointed_to[repository, tag]:
                return None
        return next(each for each in self.images[repository] if each.digest == digest)

    def foreign(self, repository: str) -> list[str]:
        """Blobs that exist, but not in this repository."""
        own = self.content.repositories[repository].blobs
        return sorted(
            {
                digest
                for other in self.content.repositories.values()
                for digest in other.blobs
                if digest not in own
            }
        )

    @property
    def size(self) -> int:
        """Bytes of everything, each blob once."""
        return sum(map(len, self.bytes.values()))

    @property
    def room(self) -> int:
        """Bytes that the cache may use: less than there is to be cached."""
        return int(self.size * self._plan.room)
