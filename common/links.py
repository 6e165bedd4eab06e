"""Links: which repository has which blob. They decide what is served; the blob alone never does.

A link file's mtime is its last use. That one number is the truth expiry goes by: marked on hits
(seldom, see `mark`), kept by the file system, shared by all machines, there for a folder that
another registry filled too, and not our clock's but the storage's.

Beside each link lies a *reference*, in the index by digest that answers who links a blob without
walking all repositories. Order of writing: reference, (blob,) link. So a link always has its
reference; a reference whose link is missing is either about to get it (young) or left over from
a crash (old), and then counts for nothing. Whoever drops a reference looks for its link
afterwards, whoever writes a link sees to its reference afterwards: of two who do both at the same
time at least one notices, and the reference is there in the end.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from common.digest import Digest
from common.durable import (
    in_folder,
    make_folder,
    remove_empty_folders,
    remove_file,
    unique_name,
    write_file,
)
from common.errors import InvalidName
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName

# Seconds: see mark_interval.
_MARKS = 3600.0
_LOCAL_MARKS = 0.1
_SHARED_MARKS = 5.0


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository that has, or is about to have, a blob."""

    kind: Kind
    repository: RepositoryName


class Links:
    """The links in one storage folder."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout

    def last_use(self, kind: Kind, repository: RepositoryName, digest: Digest) -> float | None:
        """When the link was last used, in unix seconds of the storage's clock; None: no link."""
        try:
            found = os.stat(self._layout.link(kind, repository, digest))
        except OSError:
            return None
        # An empty link is what a crash leaves under a registry that writes links in place.
        return found.st_mtime if found.st_size else None

    def has(self, kind: Kind, repository: RepositoryName, digest: Digest) -> bool:
        """Whether the repository has the blob."""
        return self.last_use(kind, repository, digest) is not None

    def mark(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        """Note a use now. A read-only or vanished link is no reason to fail a hit."""
        touch(self._layout.link(kind, repository, digest))

    def refer(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        """Announce a link, before the blob is looked for or committed: from here the janitor sees it."""
        path = self._layout.reference(kind, repository, digest)
        if not touch(path):
            write_file(path, repository.encode(), temporary=self._layout.temporary)

    def add(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        """Link the blob; it counts as used now."""
        self.refer(kind, repository, digest)
        path = self._layout.link(kind, repository, digest)
        write_file(path, digest.encode(), temporary=self._layout.temporary)
        self.refer(kind, repository, digest)

    def remove(
        self,
        kind: Kind,
        repository: RepositoryName,
        digest: Digest,
        *,
        unused_since: float | None = None,
    ) -> bool:
        """Whether there was a link, which is gone now; its reference after it, see above.

        With `unused_since`, a `last_use` that somebody judged by, a link used or made anew since
        then stays.
        """
        path = self._layout.link(kind, repository, digest)
        removed = remove_file(path) if unused_since is None else self._retire(path, unused_since)
        if removed or not self.has(kind, repository, digest):
            remove_empty_folders(os.path.dirname(path), up_to=self._layout.repositories)
            self.forget(kind, repository, digest)
        return removed

    def _retire(self, path: str, unused_since: float) -> bool:
        """Remove the very link that was judged.

        Nobody can look and remove in one step; so it is taken aside first, where it changes no
        more. A crash in between costs a link, which the next pull brings back without a download.
        """
        aside = f"{self._layout.temporary}/{unique_name()}"
        make_folder(self._layout.temporary)
        try:
            os.rename(path, aside)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if os.stat(aside).st_mtime > unused_since:
            in_folder(os.path.dirname(path), lambda: os.rename(aside, path))
            return False
        return remove_file(aside)

    def forget(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        """Drop a reference, unless its link is there."""
        remove_file(self._layout.reference(kind, repository, digest))
        if self.has(kind, repository, digest):
            self.refer(kind, repository, digest)
        else:
            remove_empty_folders(self._layout.references(digest), up_to=self._layout.own)

    def references(self, digest: Digest) -> Iterator[tuple[Reference, float]]:
        """All references to a blob, each with when it was last announced (unix seconds)."""
        folder = self._layout.references(digest)
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError, InvalidName, ValueError):
                    yield _reference(entry), entry.stat().st_mtime


def _reference(entry: os.DirEntry[str]) -> Reference:
    with open(entry.path, "rb") as file:
        repository = RepositoryName(file.read().decode())
    return Reference(Kind(entry.name.partition(".")[0]), repository)


def touch(path: str) -> bool:
    """Whether the file is there and now bears the storage's time."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def mark_interval(ttl: float | None, *, is_limited: bool = False, is_local: bool = False) -> float:
    """How old (seconds) a link's last use may be before a hit marks it anew.

    A tenth of its life, an hour at the most: expiry is early by no more than that, and a link
    costs one write an hour however often it is hit.

    With a size limit the marks decide what goes first, and a small cache may turn over within
    seconds. A mark is a `utime`: less than a microsecond on a local file system, whose journal
    gathers those of one link; a question to the server on one that machines share.
    """
    longest = _MARKS if not is_limited else _LOCAL_MARKS if is_local else _SHARED_MARKS
    return longest if ttl is None else min(longest, ttl / 10)


def is_fresh(stamp: float, seconds: float) -> bool:
    """Whether a storage time lies at most `seconds` back, and not in the future as far as we know.

    A stamp from the future (a clock was set back) is no proof of freshness.
    """
    return -seconds - 1 < time.time() - stamp <= seconds


def is_older(stamp: float, seconds: float) -> bool:
    """Whether a storage time lies more than `seconds` back, by this machine's clock."""
    return time.time() - stamp > seconds
