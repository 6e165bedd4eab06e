"""A storage folder filled as fetchers fill it: references, blobs, links, tags."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.links import Links
from common.mediatypes import OCI_INDEX, OCI_MANIFEST
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import Tags

CONFIG = b"{}"


def image(layers: Sequence[bytes]) -> bytes:
    """A manifest of these layers, with the one configuration of all images here."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(CONFIG),
            "layers": [_descriptor(layer) for layer in layers],
        }
    ).encode()


def index(images: Mapping[str, Digest]) -> bytes:
    """An index of images by platform."""
    listed = []
    for platform, digest in images.items():
        system, architecture, *variant = platform.split("/")
        described = {"os": system, "architecture": architecture}
        if variant:
            described["variant"] = variant[0]
        listed.append({"digest": digest, "size": 1, "platform": described})
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()


def _descriptor(content: bytes) -> dict[str, Any]:
    return {"digest": Digest.of(content), "size": len(content)}


class Store:
    """One folder."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.layout = Layout(str(root))
        self.blobs = FileBlobStore(self.layout)
        self.links = Links(self.layout)
        self.tags = Tags(self.layout)

    def add_blob(self, content: bytes) -> Digest:
        """A blob that nobody links."""
        digest = Digest.of(content)
        self.blobs.put(digest, content)
        return digest

    def add_layer(self, repository: str, content: bytes) -> Digest:
        """A blob, and its link."""
        digest = self.add_blob(content)
        self.links.add(Kind.LAYER, RepositoryName(repository), digest)
        return digest

    def add_manifest(self, repository: str, tag: str | None, body: bytes) -> Digest:
        """A manifest, its link, and a tag that points to it."""
        name, digest = RepositoryName(repository), self.add_blob(body)
        self.links.add(Kind.MANIFEST, name, digest)
        if tag is not None:
            self.tags.point(name, Tag(tag), digest)
        return digest

    def add_image(self, repository: str, tag: str | None, layers: Sequence[bytes]) -> Digest:
        """All of an image; the manifest's digest."""
        for content in (CONFIG, *layers):
            self.add_layer(repository, content)
        return self.add_manifest(repository, tag, image(layers))
