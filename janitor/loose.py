"""Loose ends: links whose blob is gone, and tags whose manifest is.

Neither is ever served: to a frontend each is a miss. A blob that was removed by hand, quarantined,
or lost with a part of the file system leaves the one; vacuumed manifests leave the other.
"""

from common import logs
from common.blobstore import FileBlobStore
from common.claims import Claims
from common.digest import Digest
from common.links import Links
from common.messages import Kind
from common.reference import RepositoryName, Tag
from common.tags import Tags
from janitor.vacuum import Vacuum

_log = logs.get(__name__)


class LooseEnds:
    """Drops them, once they have been so for `grace` seconds: until then somebody may be at it."""

    def __init__(
        self,
        links: Links,
        tags: Tags,
        blobs: FileBlobStore,
        vacuum: Vacuum,
        claims: Claims,
        *,
        grace: float,
    ) -> None:
        """Work on what is handed in."""
        self._links = links
        self._tags = tags
        self._blobs = blobs
        self._vacuum = vacuum
        self._claims = claims
        self._grace = grace

    def drop_link(self, kind: Kind, repository: RepositoryName, digest: Digest) -> bool:
        """Whether the link had no data, and is gone."""
        if self._blobs.size(digest) is not None:
            return False
        used = self._links.last_use(kind, repository, digest)
        if used is None or not self._is_old(used):
            return False
        return self._vacuum.remove_link(kind, repository, digest, last_use=used)

    def drop_tag(self, repository: RepositoryName, tag: Tag) -> bool:
        """Whether the tag had no manifest, and is gone."""
        stored = self._tags.read(repository, tag)
        if stored is None or self._links.has(Kind.MANIFEST, repository, stored.digest):
            return False
        if not self._is_old(max(stored.used, stored.confirmed)):
            return False
        self._tags.remove(repository, tag)
        _log.info("tag without a manifest removed", repository=repository, tag=tag)
        return True

    def _is_old(self, stamp: float) -> bool:
        return self._claims.now() - stamp > self._grace
