"""What an image's manifest is made of."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.errors import ContentMismatch, InvalidDigest

# OCI distribution-spec, "Pushing manifests": registries take at least 4 MiB, and seldom more.
_MAX_MANIFEST = 4 * 1024 * 1024


def contents(blobs: FileBlobStore, manifest: Digest) -> Iterator[Digest]:
    """The blobs that a manifest cannot do without: its config and layers.

    An index has none: of the images it names, each stands for itself, and seldom are all of them
    pulled. What cannot be read or is no manifest has none either.
    """
    with suppress(OSError, ContentMismatch, ValueError, RecursionError):
        body = blobs.read(manifest, _MAX_MANIFEST)
        described: Any = json.loads(body or b"{}")
        for descriptor in _descriptors(described):
            with suppress(InvalidDigest, TypeError):
                yield Digest(descriptor)


def _descriptors(manifest: Any) -> Iterator[Any]:
    """Image-spec, manifest.md; `blobs` of the former artifact manifest, `fsLayers` of schema 1."""
    if not isinstance(manifest, dict):
        return
    named = [manifest.get("config")]
    for key in ("layers", "blobs", "fsLayers"):
        listed = manifest.get(key)
        named += listed if isinstance(listed, list) else []
    for descriptor in named:
        if isinstance(descriptor, dict):
            yield descriptor.get("digest", descriptor.get("blobSum"))
