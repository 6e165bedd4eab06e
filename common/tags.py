"""Tags: what a repository's tag points to, and since when that is known.

`current/link` holds the digest; its mtime is the tag's last use. The mtime of the digest's
`index/.../link` is when the upstream last said that the tag points there. So both times live in
files distribution has anyway, and both can be changed without writing a file's content.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class TagList(NamedTuple):
    """A list, or a stretch of one; `heard` in unix seconds, `whole` says that nothing follows."""

    tags: list[Tag]
    heard: float
    whole: bool = True


class TagLists:
    """The upstreams' tag lists, as last heard; long ones in stretches, each behind some tag."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout

    def write(
        self,
        repository: RepositoryName,
        tags: list[Tag],
        *,
        after: Tag | None = None,
        whole: bool = True,
    ) -> None:
        """Keep the upstream's list, or what it has behind `after`; not `whole`, more follows."""
        wire = {"repository": repository, "tags": sorted(tags), "whole": whole}
        content = json.dumps(wire).encode()
        path = self._layout.tag_list(repository, after)
        make_folder(os.path.dirname(path))
        write_file(path, content, temporary=self._layout.temporary)

    def read(self, repository: RepositoryName, after: Tag | None = None) -> TagList | None:
        """The list, or what it has behind `after`; None when it was never heard."""
        try:
            with open(self._layout.tag_list(repository, after), "rb") as file:
                content: Any = json.load(file)
                heard = os.fstat(file.fileno()).st_mtime
            tags = [Tag(name) for name in content["tags"]]
            return TagList(tags, heard, content.get("whole") is not False or not tags)
        except (OSError, ValueError, KeyError, TypeError, InvalidTag):
            return None
