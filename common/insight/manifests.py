"""What a manifest says of the image it describes (OCI image-spec, manifest.md and image-index.md)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from common.digest import Digest
from common.errors import InvalidDigest
from common.mediatypes import media_type_of, object_in

LARGEST = 4 * 1024 * 1024
"""Bytes; OCI distribution-spec, "Pushing manifests": registries take at least 4 MiB."""


@dataclass(frozen=True, slots=True)
class Part:
    """A blob an image is made of, with its size in bytes as the manifest says it; 0: unsaid."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Child:
    """An image in an index; `platform` as `os/architecture[/variant]`, empty where unsaid."""

    digest: Digest
    size: int
    platform: str


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest: an image has `parts` (configuration, then layers), an index `children`."""

    media_type: str
    parts: tuple[Part, ...] = ()
    children: tuple[Child, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)


def described(body: bytes) -> Described:
    """What `body` says; nothing beyond a media type where it is no manifest."""
    manifest = object_in(body) or {}
    listed = [manifest.get("config"), *_listed(manifest, "layers"), *_listed(manifest, "blobs")]
    return Described(
        media_type_of(body),
        tuple(Part(*found) for found in _known(listed)),
        tuple(
            Child(*found, _platform(descriptor))
            for descriptor in _listed(manifest, "manifests")
            for found in _known([descriptor])
        ),
    )


def _known(descriptors: list[Any]) -> Iterator[tuple[Digest, int]]:
    for descriptor in descriptors:
        # Layers that are to be had from elsewhere are not kept here (image-spec, layer.md).
        if isinstance(descriptor, dict) and not descriptor.get("urls"):
            with suppress(InvalidDigest, TypeError):
                size: Any = descriptor.get("size")
                size = size if isinstance(size, int) and size >= 0 else 0
                yield Digest(descriptor.get("digest", "")), size


def _listed(manifest: dict[str, Any], key: str) -> list[Any]:
    found = manifest.get(key)
    return found if isinstance(found, list) else []


def _platform(descriptor: Any) -> str:
    platform = descriptor.get("platform")
    if not isinstance(platform, dict):
        return ""
    names = [platform.get(key) for key in ("os", "architecture", "variant")]
    return "/".join(name for name in names if isinstance(name, str) and name)
