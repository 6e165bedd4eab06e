"""A fill: a blob on its way into storage, and what those who wait for it can see of it.

    fills/<alg>/<2 hex>/<hex>/
      claim.<generation>              who fills it (common.claims)
      spool.<generation>.<start>      the bytes so far
      started.<generation>.<start>    {"size": …}: the upstream has answered, bytes are coming
      proven.<generation>.<start>     the spool is whole, and its bytes are the digest's
      member.<hash of repository>     the upstream has said that this repository has the blob
      ahead                           nobody waits for it yet
      allotted                        {"size": …}: bytes that the janitor has room for

What others may rely on:

- A spool is only ever appended to, by the one process that created it. What was read from it
  once stays true of it. Starting over, and taking over from a dead holder, means a new spool,
  which begins with a copy of the old one's bytes where they are still good.
- The bytes of a spool are unverified until it is proven. Whoever passes them on holds something
  back until then, and then compares what it sent from other spools (frontend.stream). Proven is not
  committed: the bytes may be given away, and a power cut may take them.
- The commit renames the spool to the blob. An open spool is then the open blob.
- Who waits for a fill removes `ahead`: the holder, which made it before it began, then hurries.
  That is a removal so that whoever comes, however late or often, leaves nothing behind.
- Repositories are linked by the holder at the commit, from the members; one that becomes a member
  too late to be seen looks for the blob after having written its member file, and links itself.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from common.digest import Digest
from common.durable import remove_file, write_fleeting_file
from common.errors import InvalidName
from common.paths import Layout, name_hash
from common.reference import RepositoryName


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """Which spool: the claim's generation, and a number that grows whenever a spool is begun.

    No two spools of a digest ever have the same: a holder that slept from its last check to its
    commit must not rename into place what another one has begun under the same name.
    """

    generation: int
    start: int

    def __str__(self) -> str:
        """As it stands in file names."""
        return f"{self.generation}.{self.start}"


@dataclass(frozen=True, slots=True)
class Started:
    """A fill whose bytes are arriving; `size` in bytes, None while unknown."""

    epoch: Epoch
    size: int | None
    spool: str


class Fill:
    """The folder of one blob's fill. Making one creates nothing."""

    def __init__(self, layout: Layout, digest: Digest) -> None:
        """Look at the fill of `digest`."""
        self.digest = digest
        self.folder = layout.fill(digest)
        self._layout = layout

    def exists(self) -> bool:
        """Whether there is anything of it."""
        return os.path.isdir(self.folder)

    def admit(self, repository: RepositoryName) -> None:
        """Note that the upstream has said the repository has this blob."""
        self._write(self._member(repository), repository.encode())

    def admits(self, repository: RepositoryName) -> bool:
        """Whether the repository is known to have this blob."""
        return os.path.exists(self._member(repository))

    def dismiss(self, repository: RepositoryName) -> None:
        """Take back `admit`, when the fill has failed or the repository is linked."""
        remove_file(self._member(repository))

    def members(self) -> list[RepositoryName]:
        """The repositories to link at the commit."""
        found: list[RepositoryName] = []
        for name in self._names("member."):
            with suppress(OSError, InvalidName, ValueError), open(f"{self.folder}/{name}") as file:
                found.append(RepositoryName(file.read()))
        return found

    def spool(self, epoch: Epoch) -> str:
        """The path of a spool."""
        return f"{self.folder}/spool.{epoch}"

    def spools(self) -> list[Epoch]:
        """The spools there are, oldest first."""
        return sorted(_epochs(self._names("spool."), "spool."))

    def start(self, epoch: Epoch, size: int | None) -> None:
        """Tell that bytes are coming, and how many in all."""
        content = json.dumps({"size": size}).encode()
        self._write(f"{self.folder}/started.{epoch}", content)

    def started(self) -> Started | None:
        """The newest spool whose bytes are coming; None when there is none (yet)."""
        for epoch in sorted(_epochs(self._names("started."), "started."), reverse=True):
            with suppress(OSError, ValueError, KeyError, TypeError):
                with open(f"{self.folder}/started.{epoch}", "rb") as file:
                    wire: Any = json.load(file)
                size = None if wire["size"] is None else int(wire["size"])
                return Started(epoch, size, self.spool(epoch))
        return None

    def prove(self, epoch: Epoch) -> None:
        """Tell that a spool is whole and right; its readers need not wait for the commit."""
        self._write(f"{self.folder}/proven.{epoch}", b"")

    def is_proven(self, epoch: Epoch) -> bool:
        """Whether a spool is whole and right."""
        return _opens(f"{self.folder}/proven.{epoch}")

    def allot(self, size: int) -> None:
        """Tell that there is room for `size` bytes within the cache's limit; nothing when it is over."""
        content = json.dumps({"size": size}).encode()
        with suppress(FileNotFoundError):
            self._write(self._allotted, content, makes_folder=False)

    def allotted(self) -> int:
        """Bytes there is room for; 0 before anybody said so."""
        with suppress(OSError, ValueError, KeyError, TypeError), open(self._allotted, "rb") as file:
            wire: Any = json.load(file)
            return int(wire["size"])
        return 0

    def give_room_back(self) -> None:
        """Need no room, as nobody goes on with it now."""
        remove_file(self._allotted)

    def suspend(self, epoch: Epoch) -> None:
        """Send no more readers to a spool; its bytes stay for whoever fills next."""
        remove_file(f"{self.folder}/started.{epoch}")

    def begin_ahead(self) -> None:
        """Tell that nobody waits for this fill: its holder does, before readers can come."""
        self._write(self._ahead, b"")

    def end_ahead(self) -> None:
        """Tell that somebody waits, or that nobody is to be told any more."""
        remove_file(self._ahead)

    def is_ahead(self) -> bool:
        """Whether nobody waits for this fill yet."""
        return _opens(self._ahead)

    def discard(self, epoch: Epoch) -> None:
        """Remove a spool: first the files that send readers to it."""
        self.suspend(epoch)
        remove_file(f"{self.folder}/proven.{epoch}")
        remove_file(self.spool(epoch))

    def clear(self) -> None:
        """Remove all but claims, after the commit or for good; the claim's release removes the folder."""
        for prefix in ("started.", "proven.", "spool.", "member."):
            for name in self._names(prefix):
                remove_file(f"{self.folder}/{name}")
        self.end_ahead()
        self.give_room_back()

    @property
    def _allotted(self) -> str:
        return f"{self.folder}/allotted"

    @property
    def _ahead(self) -> str:
        return f"{self.folder}/ahead"

    def _member(self, repository: RepositoryName) -> str:
        return f"{self.folder}/member.{name_hash(repository)}"

    def _write(self, path: str, content: bytes, *, makes_folder: bool = True) -> None:
        # What a power cut leaves of a fill is hashed, or asked for, again.
        layout = self._layout
        write_fleeting_file(
            path,
            content,
            temporary=layout.temporary,
            below=layout.own,
            makes_folder=makes_folder,
        )

    def _names(self, prefix: str) -> list[str]:
        try:
            return [name for name in os.listdir(self.folder) if name.startswith(prefix)]
        except (FileNotFoundError, NotADirectoryError):
            return []


def _opens(path: str) -> bool:
    """Whether the file is there. Not stat: NFS asks the server anew when a file is opened, and only then."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _epochs(names: list[str], prefix: str) -> list[Epoch]:
    found: list[Epoch] = []
    for name in names:
        generation, _, start = name.removeprefix(prefix).partition(".")
        if generation.isdecimal() and start.isdecimal():
            found.append(Epoch(int(generation), int(start)))
    return found
