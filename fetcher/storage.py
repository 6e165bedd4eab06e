"""Storage as the jobs use it: the stores together, and linking that is safe beside a janitor."""

from dataclasses import dataclass

from common.blobstore import BlobStore, FileBlobStore
from common.digest import Digest
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName
from common.referrers import ReferrerLists
from common.tags import TagLists, Tags


@dataclass(frozen=True, slots=True)
class Storage:
    """The stores of one storage folder."""

    layout: Layout
    blobs: BlobStore
    links: Links
    tags: Tags
    tag_lists: TagLists
    referrer_lists: ReferrerLists

    def has(self, kind: Kind, repository: RepositoryName, digest: Digest) -> bool:
        """Whether the repository links the blob and the blob is there."""
        return self.links.has(kind, repository, digest) and self.blobs.size(digest) is not None

    def link(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        """Link the blob, whose reference is written already.

        The reference once more after the link: one who withdraws it, having failed where we did
        not, looks for the link afterwards. So whoever comes last sees the other.
        """
        self.links.add(kind, repository, digest)
        self.links.refer(kind, repository, digest)

    def withdraw(self, kind: Kind, repository: RepositoryName, digest: Digest) -> None:
        """Take back the announcement of a link that is not to be; see `link`."""
        if self.links.has(kind, repository, digest):
            return
        self.links.forget(kind, repository, digest)
        if self.links.has(kind, repository, digest):
            self.links.refer(kind, repository, digest)


def open_storage(root: str) -> Storage:
    """The stores below a root folder."""
    layout = Layout(root)
    return Storage(
        layout,
        FileBlobStore(layout),
        Links(layout),
        Tags(layout),
        TagLists(layout),
        ReferrerLists(layout),
    )
