"""What there is to be pulled: files that the upstream and nginx serve alike.

<folder>/v2/<repository>/blobs/<digest>
<folder>/v2/<repository>/manifests/<tag or digest>
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from common import mediatypes
from common.digest import Digest

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_TAG = "1"


@dataclass(frozen=True)
class Blob:
    """One that nobody has asked for yet."""

    repository: str
    digest: Digest
    size: int

    @property
    def path(self) -> str:
        """Where to ask for it."""
        return f"/v2/{self.repository}/blobs/{self.digest}"


@dataclass(frozen=True)
class Image:
    """An image of the tag `1`; `blobs` are its configuration and its layers, in this order."""

    repository: str
    digest: Digest
    blobs: tuple[Blob, ...]

    @property
    def by_tag(self) -> str:
        """Where to ask for its manifest."""
        return f"/v2/{self.repository}/manifests/{_TAG}"

    @property
    def by_digest(self) -> str:
        """The same, by digest."""
        return f"/v2/{self.repository}/manifests/{self.digest}"


class Goods:
    """Makes content of random bytes, never the same twice, so that nothing of it is cached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = (f"bench/app{number}" for number in count())

    def blob(self, size: int) -> Blob:
        """A blob in a repository of its own."""
        return self._blob(next(self._names), os.urandom(size))

    def image(self, *layer_bytes: int) -> Image:
        """An image in a repository of its own."""
        repository = next(self._names)
        layers = [self._blob(repository, os.urandom(size)) for size in layer_bytes]
        config = self._blob(repository, _encode({"architecture": "amd64", "of": repository}))
        body = _encode(
            {
                "schemaVersion": 2,
                "mediaType": mediatypes.OCI_MANIFEST,
                "config": _descriptor(CONFIG, config),
                "layers": [_descriptor(LAYER, layer) for layer in layers],
            }
        )
        digest = Digest.of(body)
        for reference in (_TAG, digest):
            self._write(f"/v2/{repository}/manifests/{reference}", body)
        return Image(repository, digest, (config, *layers))

    def forget(self, *blobs: Blob) -> None:
        """Remove blobs that will not be asked for again."""
        for blob in blobs:
            self.file(blob.path).unlink()

    def file(self, path: str) -> Path:
        """The file of something to ask for."""
        return self.folder / path.lstrip("/")

    def _blob(self, repository: str, content: bytes) -> Blob:
        blob = Blob(repository, Digest.of(content), len(content))
        self._write(blob.path, content)
        return blob

    def _write(self, path: str, content: bytes) -> None:
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def of_image(image: Image) -> Iterator[str]:
    """All that a client asks for to have it, in this order."""
    yield image.by_tag
    yield from (blob.path for blob in image.blobs)


def _descriptor(media_type: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
