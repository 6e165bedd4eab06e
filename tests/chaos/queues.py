"""The two queue modes, and how each of them is broken."""

import random
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.chaos.disturbances import BROKER, Disturbances
from tests.parts.rabbit import Rabbit

# Seconds until everybody has found a broker that is back (they try every 5 at the latest), and
# until what was turned away meanwhile has been answered.
_RECOVERED = 10.0


class QueueMode(ABC):
    """Where jobs travel in this run; `url` is for the configuration."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def hit(self, rng: random.Random) -> bool:
        """Break it; whether it needs `mend` after a while."""

    @abstractmethod
    def mend(self) -> None:
        """Have it work again."""


class Embedded(QueueMode):
    """The queue's file, removed or spoilt under everybody's hands. No failure is permitted for it."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "entrepot" / "queue"
        self._file = self._folder / "queue.sqlite"
        super().__init__(f"sqlite://{self._file}")

    def hit(self, rng: random.Random) -> bool:
        """Break it."""
        way = rng.choice(["file removed", "folder removed", "file spoilt", "file cut short"])
        self.counts[way] += 1
        with suppress(FileNotFoundError):
            if way == "file removed":
                self._file.unlink()
            elif way == "folder removed":
                shutil.rmtree(self._folder, ignore_errors=True)
            else:
                self._overwrite(rng, keep=way == "file spoilt")
        return False

    def _overwrite(self, rng: random.Random, *, keep: bool) -> None:
        with self._file.open("r+b") as file:
            if keep:
                file.write(rng.randbytes(8192))
            else:
                file.truncate(rng.randrange(4096))

    def mend(self) -> None:
        """Nothing: it mends itself."""


class Broker(QueueMode):
    """A RabbitMQ that is killed, or stopped in good order, and started again."""

    def __init__(self, rabbit: Rabbit, url: str, disturbances: Disturbances) -> None:
        super().__init__(url)
        self._rabbit = rabbit
        self._disturbances = disturbances
        self._is_away = False

    def hit(self, rng: random.Random) -> bool:
        """Break it."""
        way = rng.choice(["killed", "stopped"])
        self.counts[way] += 1
        self._disturbance = self._disturbances.begin(BROKER, "", _RECOVERED)
        self._is_away = True
        if way == "killed":
            self._rabbit.kill()
        else:
            self._rabbit.stop()
        return True

    def mend(self) -> None:
        """Start it, and wait until it serves."""
        if self._is_away:
            self._rabbit.start()
            self._disturbances.finish(self._disturbance)
            self._is_away = False
