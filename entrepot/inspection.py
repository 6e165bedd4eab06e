"""What in a storage folder does not belong together: links, tags and blobs without their counterparts.

All of it is harmless: what is missing is fetched when it is asked for, and the janitor's sweep
removes what nobody needs. A look beside running processes may meet what is just being made or
removed; so what looks wrong is looked at again, and what is young is not counted.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from common.digest import Digest
from common.fills import Fill
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import Tags
from janitor import walk


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that lacks its counterpart: which it is, and what is wrong with it."""

    subject: str
    problem: str


class Inspection:
    """Looks at one storage folder once; changes nothing. `grace` in seconds, as the janitor's."""

    def __init__(self, root: str, *, grace: float) -> None:
        """Take what is younger than `grace` for work under way."""
        self._layout = Layout(root)
        self._links = Links(self._layout)
        self._tags = Tags(self._layout)
        self._grace = grace
        # Linked by a registry that keeps no references, and not yet taken in by a janitor.
        self._linked: set[bytes] = set()

    def findings(self) -> Iterator[Finding]:
        """All there are: of links and tags first, then of blobs."""
        for repository in walk.repositories(self._layout):
            for kind, digest in walk.links(self._layout, repository):
                yield from self._look_at_link(kind, repository, digest)
            yield from self._look_at_tags(repository)
        for digest in walk.digests(self._layout.blobs):
            if self._is_orphan(digest):
                yield Finding(digest, "orphan: no repository links it")

    def _look_at_link(
        self, kind: Kind, repository: RepositoryName, digest: Digest
    ) -> Iterator[Finding]:
        if not os.path.exists(self._layout.reference(kind, repository, digest)):
            self._linked.add(bytes.fromhex(digest.hex))
        blob = self._layout.blob(digest)
        if os.path.exists(blob) or Fill(self._layout, digest).exists():
            return
        # The link may have been removed meanwhile, or the blob have come.
        if self._links.has(kind, repository, digest) and not os.path.exists(blob):
            yield Finding(f"{repository}@{digest}", f"dangling: the {kind.value} is not here")

    def _look_at_tags(self, repository: RepositoryName) -> Iterator[Finding]:
        for tag in self._tags.names(repository):
            stored = self._tags.read(repository, tag)
            if stored is None:
                if self._has_been_there(repository, tag):
                    yield Finding(f"{repository}:{tag}", "dangling: it points nowhere")
            elif not self._links.has(Kind.MANIFEST, repository, stored.digest):
                # The tag may have been removed with its manifest, or points to another by now.
                again = self._tags.read(repository, tag)
                if again is not None and again.digest == stored.digest:
                    yield Finding(f"{repository}:{tag}", "dangling: its manifest is not here")

    def _has_been_there(self, repository: RepositoryName, tag: Tag) -> bool:
        """Whether what is there of a tag is neither just being made nor just being removed."""
        try:
            changed = os.stat(self._layout.tag(repository, tag)).st_mtime
        except FileNotFoundError:
            return False
        with suppress(FileNotFoundError):
            folder = os.path.dirname(self._layout.tag_current(repository, tag))
            changed = max(changed, os.stat(folder).st_mtime)
        return time.time() - changed >= self._grace

    def _is_orphan(self, digest: Digest) -> bool:
        if bytes.fromhex(digest.hex) in self._linked or self._is_young(digest):
            return False
        references = self._links.references(digest)
        is_linked = any(
            self._links.has(reference.kind, reference.repository, digest)
            for reference, _announced in references
        )
        # Links go before their blob: one that has none may be gone itself by now.
        return not is_linked and os.path.exists(self._layout.blob(digest))

    def _is_young(self, digest: Digest) -> bool:
        # Not by ctime, which changes when the blob is sealed anew.
        try:
            arrived = os.stat(self._layout.blob(digest)).st_mtime
        except FileNotFoundError:
            return True
        return time.time() - arrived < self._grace
