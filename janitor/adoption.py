"""Taking in what another registry left in the folder.

distribution writes links but no references, and never touches a link again. So a link without a
reference is one that we have not met yet: it gets its reference, and since nobody knows when it
was last used its life begins now. Else the first start on a folder of some age would empty it.

Until every link has its reference, a blob without any may still be linked. Another registry may
have written to the folder whenever no janitor ran, so each janitor condemns blobs only after a
walk that began when it was there already, its own or another janitor's.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from common.digest import Digest
from common.durable import write_file
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName


class Adoption:
    """What is known to be taken in; `started` is when this janitor began (storage's clock)."""

    def __init__(self, layout: Layout, links: Links, started: float) -> None:
        """Look at the record in the storage folder; nothing is created."""
        self._layout = layout
        self._links = links
        self._started = started

    def last_walk(self) -> float | None:
        """When the last complete walk began, in unix seconds; None when there never was one."""
        try:
            return os.stat(self._layout.adopted).st_mtime
        except FileNotFoundError:
            return None

    def is_complete(self) -> bool:
        """Whether every link has its reference."""
        walked = self.last_walk()
        return walked is not None and walked >= self._started

    def last_lives(self) -> dict[str, float | None]:
        """The lives (seconds, by upstream) that the events of the last walk's time are for."""
        try:
            with open(self._layout.adopted, "rb") as file:
                recorded: Any = json.load(file)
            return {str(name): life and float(life) for name, life in recorded["ttl"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def record(self, begun: float, lives: Mapping[str, float | None]) -> None:
        """Note that a walk that began at `begun` has seen everything, under these lives."""
        content = json.dumps({"ttl": dict(lives)}).encode()
        # Stamped before it is there: for a moment it would tell another janitor, which started while
        # we walked, of a walk that began after that.
        write_file(
            self._layout.adopted,
            content,
            temporary=self._layout.temporary,
            prepare=lambda fd: os.utime(fd, (begun, begun)),
        )

    def take_in(self, kind: Kind, repository: RepositoryName, digest: Digest) -> bool:
        """Whether the link was new to us and has now been taken in."""
        if os.path.exists(self._layout.reference(kind, repository, digest)):
            return False
        if not self._links.has(kind, repository, digest):
            return False
        self._links.refer(kind, repository, digest)
        self._links.mark(kind, repository, digest)
        return True
