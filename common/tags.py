"""Tags: what a repository's tag points to, and since when that is known.

`current/link` holds the digest; its mtime is the tag's last use. The mtime of the digest's
`index/.../link` is when the upstream last said that the tag points there. So both times live in
files distribution has anyway, and both can be changed without writing a file's content.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from common.digest import Digest
from common.durable import make_folder, remove_empty_folders, remove_file, write_file
from common.errors import InvalidDigest, InvalidTag
from common.links import touch
from common.paths import Layout
from common.reference import RepositoryName, Tag

# "sha512:" and 128 hexadecimal digits, with some room to notice that there is more.
_LONGEST_LINK = 256


@dataclass(frozen=True, slots=True)
class StoredTag:
    """What a tag points to; times in unix seconds of the storage's clock."""

    digest: Digest
    used: float
    confirmed: float  # 0 when never known


class Tags:
    """The tags in one storage folder."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout

    def read(self, repository: RepositoryName, tag: Tag) -> StoredTag | None:
        """The tag, or None when it is not known or its link is damaged."""
        try:
            fd = os.open(self._layout.tag_current(repository, tag), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            digest = Digest(os.read(fd, _LONGEST_LINK).decode("ascii", "replace").strip())
            used = os.fstat(fd).st_mtime
        except InvalidDigest:
            return None
        finally:
            os.close(fd)
        return StoredTag(digest, used, self._confirmed(repository, tag, digest))

    def _confirmed(self, repository: RepositoryName, tag: Tag, digest: Digest) -> float:
        try:
            return os.stat(self._layout.tag_index(repository, tag, digest)).st_mtime
        except OSError:
            return 0.0

    def mark(self, repository: RepositoryName, tag: Tag) -> None:
        """Note a use now."""
        touch(self._layout.tag_current(repository, tag))

    def point(self, repository: RepositoryName, tag: Tag, digest: Digest) -> None:
        """Have the tag point to `digest`, which the upstream has just said it does.

        The index entry first: a current link without one would look never confirmed.
        """
        index = self._layout.tag_index(repository, tag, digest)
        if not touch(index):
            write_file(index, digest.encode(), temporary=self._layout.temporary)
        stored = self.read(repository, tag)
        if stored is None or stored.digest != digest:
            current = self._layout.tag_current(repository, tag)
            write_file(current, digest.encode(), temporary=self._layout.temporary)

    def remove(self, repository: RepositoryName, tag: Tag) -> None:
        """Forget the tag: the current link first, so that what is half removed is not there."""
        remove_file(self._layout.tag_current(repository, tag))
        folder = self._layout.tag(repository, tag)
        for parent, _folders, files in os.walk(folder, topdown=False):
            for name in files:
                remove_file(f"{parent}/{name}")
            with suppress(OSError):
                os.rmdir(parent)
        remove_empty_folders(os.path.dirname(folder), up_to=self._layout.repositories)

    def names(self, repository: RepositoryName) -> list[Tag]:
        """The tags stored for a repository, in the specification's (lexical) order."""
        tags: list[Tag] = []
        with suppress(OSError):
            for name in os.listdir(self._layout.tags(repository)):
                with suppress(InvalidTag):
                    tags.append(Tag(name))
        return sorted(tags)


class TagLists:
    """The upstreams' tag lists, as last heard."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout

    def write(self, repository: RepositoryName, tags: list[Tag]) -> None:
        """Keep the upstream's list."""
        content = json.dumps({"repository": repository, "tags": sorted(tags)}).encode()
        path = self._layout.tag_list(repository)
        make_folder(os.path.dirname(path))
        write_file(path, content, temporary=self._layout.temporary)

    def read(self, repository: RepositoryName) -> tuple[list[Tag], float] | None:
        """The list and when it was heard (unix seconds); None when never."""
        try:
            with open(self._layout.tag_list(repository), "rb") as file:
                content: Any = json.load(file)
                heard = os.fstat(file.fileno()).st_mtime
            return [Tag(name) for name in content["tags"]], heard
        except (OSError, ValueError, KeyError, TypeError, InvalidTag):
            return None
