"""Everybody side by side, in front of one upstream, over one disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import parties
from bench.client import Connection
from bench.figures import DIRECT, ENTREPOT, NGINX, REGISTRY
from bench.goods import Goods
from bench.parties import Party
from common.digest import Digest
from tests.waiting import until

_SETTLED_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """What the upstream was asked since it was last told something."""

    requests: int
    sent_bytes: int
    busy: int


@dataclass(frozen=True)
class Stage:
    """`parties` by name, running."""

    folder: Path
    goods: Goods
    parties: dict[str, Party]

    def tell(self, *, rate: float = 0, latency: float = 0) -> None:
        """How the upstream is to be from now on; it counts anew. See `bench.upstream`."""
        self._ask_upstream(f"/tell?rate={rate}&latency={latency}")

    def asked(self) -> Asked:
        """What the upstream has counted."""
        return self._ask_upstream("/count")

    def settle(self) -> None:
        """Wait until nobody downloads any more, and nothing is left for the disk to write."""
        until(lambda: self.asked().busy == 0, _SETTLED_SECONDS, "the downloads to end")
        os.sync()

    def check(self, party: Party, path: str, digest: str) -> None:
        """Pull it once, untimed, and compare the bytes with the digest. ValueError if wrong."""
        with Connection(party.port) as connection:
            body = connection.get(path, keep=True).body
        if Digest.of(body) != digest:
            raise ValueError(f"{party.name} gave other bytes for {path}")

    @contextmanager
    def apart(self, **sections: Any) -> Iterator[Party]:
        """One more entrepot, of these sections, that is watched; its storage folder is empty."""
        # What was killed may be writing a last file.
        with tempfile.TemporaryDirectory(
            prefix="apart", dir=self.folder, ignore_cleanup_errors=True
        ) as folder:
            remote = f"http://127.0.0.1:{self.parties[DIRECT].port}"
            party = parties.watched(Path(folder), remote, **sections)
            try:
                yield party
            finally:
                party.stop()

    def _ask_upstream(self, path: str) -> Asked:
        with Connection(self.parties[DIRECT].port) as connection:
            return Asked(**connection.get(path, keep=True).json())


@contextmanager
def stage(folder: Path, names: Sequence[str]) -> Iterator[Stage]:
    """A stage with these parties and the upstream; all of it is removed afterwards."""
    with ExitStack() as stack:
        own = Path(tempfile.mkdtemp(prefix="stage", dir=folder))
        stack.callback(shutil.rmtree, own, ignore_errors=True)
        goods = Goods(own / "goods")
        goods.folder.mkdir()
        running = {DIRECT: parties.upstream(goods, own)}
        stack.callback(running[DIRECT].stop)
        remote = f"http://127.0.0.1:{running[DIRECT].port}"
        makers = {
            ENTREPOT: lambda: parties.entrepot(own, remote),
            REGISTRY: lambda: parties.registry(own, remote),
            NGINX: lambda: parties.nginx(own, goods),
        }
        for name in names:
            if name in makers:
                running[name] = makers[name]()
                stack.callback(running[name].stop)
        yield Stage(own, goods, running)
