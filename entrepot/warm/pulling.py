"""Images, one after the other, each with several layers at once."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from common.digest import Digest
from common.insight.manifests import Child, Part, described
from entrepot.failure import Failure
from entrepot.warm.access import Access
from entrepot.warm.board import Board
from entrepot.warm.client import Client
from entrepot.warm.images import Image
from entrepot.warm.server import Server

ALL = "all"
"""In place of a platform."""

_SHORT = 12


@dataclass(frozen=True, slots=True)
class Pulled:
    """What an image came to: configurations and layers, their number and bytes."""

    digest: Digest
    blobs: int
    size: int


class Warming:
    """Pulls through one server; `platforms` as `os/architecture[/variant]`, or ALL."""

    def __init__(
        self,
        server: Server,
        access: Access,
        board: Board,
        *,
        platforms: Sequence[str],
        jobs: int,
    ) -> None:
        self.stop = threading.Event()
        self._server = server
        self._access = access
        self._board = board
        self._platforms = tuple(platforms)
        self._pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="layer")

    def close(self) -> None:
        """End what runs."""
        self.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def pull(self, image: Image) -> Pulled:
        """Have all of `image` cached; raises Failure with the first thing that went wrong."""
        client = Client(self._server, self._access, image, self.stop)
        body = client.manifest(image.reference)
        digest = Digest.of(body)
        if isinstance(image.reference, Digest) and not image.reference.matches(body):
            raise Failure(f"the manifest that {self._server} gave is not {image.reference}")
        parts = self._parts(client, body)
        # Not `map`: all of them are to be tried, whatever becomes of the first.
        pulls = [self._pool.submit(self._pull_part, client, part) for part in parts]
        problems = [pulled.exception() for pulled in pulls]
        for problem in problems:
            if problem is not None:
                raise problem
        return Pulled(digest, len(parts), sum(pulled.result() for pulled in pulls))

    def _parts(self, client: Client, body: bytes) -> list[Part]:
        """Configurations and layers, each once, of the image or of an index's images."""
        said = described(body)
        if not said.children:
            return list({part.digest: part for part in said.parts}.values())
        found: dict[Digest, Part] = {}
        for child in self._chosen(said.children):
            for part in described(client.manifest(child.digest)).parts:
                found[part.digest] = part
        return list(found.values())

    def _chosen(self, children: Sequence[Child]) -> list[Child]:
        chosen = [child for child in children if self._is_wanted(child)]
        if not chosen:
            there = ", ".join(sorted({child.platform or "unnamed" for child in children}))
            wanted = ", ".join(self._platforms)
            raise Failure(f"there is no image for {wanted}", f"give --platform: there are {there}")
        return chosen

    def _is_wanted(self, child: Child) -> bool:
        return any(
            wanted in {ALL, child.platform} or child.platform.startswith(f"{wanted}/")
            for wanted in self._platforms
        )

    def _pull_part(self, client: Client, part: Part) -> int:
        task = self._board.begin(part.digest.hex[:_SHORT], part.size)
        problem = "interrupted"
        try:
            size = client.blob(
                part.digest, part.size, lambda count: self._board.advance(task, count)
            )
            problem = ""
        except Failure as failure:
            problem = failure.what
            raise
        else:
            return size
        finally:
            self._board.end(task, problem)
