"""Referrers: what a repository holds about a manifest, such as signatures and SBOMs.

Kept per subject, as the upstream last listed them, in the form that clients are given
(OCI distribution-spec, "Listing Referrers"). The list says what there is; the manifests in it are
fetched and linked like all others.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.digest import Digest
from common.durable import make_folder, remove_file, write_file
from common.mediatypes import OCI_INDEX
from common.paths import Layout
from common.reference import RepositoryName


def index_of(descriptors: Sequence[dict[str, Any]]) -> bytes:
    """The image index that lists `descriptors`."""
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
    return json.dumps(index, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Listed:
    """An image index of referrers, and when the upstream said so (unix seconds)."""

    index: bytes
    heard: float


class ReferrerLists:
    """The upstreams' lists in one storage folder."""

    def __init__(self, layout: Layout) -> None:
        """Use the tree of `layout`."""
        self._layout = layout

    def write(
        self, repository: RepositoryName, subject: Digest, descriptors: Sequence[dict[str, Any]]
    ) -> None:
        """Keep what refers to `subject`."""
        path = self._layout.referrer_list(repository, subject)
        make_folder(os.path.dirname(path))
        write_file(path, index_of(descriptors), temporary=self._layout.temporary)

    def read(self, repository: RepositoryName, subject: Digest) -> Listed | None:
        """The list, None when there is none."""
        try:
            with open(self._layout.referrer_list(repository, subject), "rb") as file:
                return Listed(file.read(), os.fstat(file.fileno()).st_mtime)
        except OSError:
            return None

    def forget(self, repository: RepositoryName, subject: Digest) -> None:
        """Keep no list."""
        remove_file(self._layout.referrer_list(repository, subject))
