"""The media types of manifests (image-spec, media-types.md; distribution's manifest packages)."""

import json
import re
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# Of image-spec 1.1's release candidates only, but pushed by then and still asked for by oras.
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
UNKNOWN = "application/octet-stream"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
SCHEMA_1 = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
    }
)
"""Docker's first format. Its digest is not that of its bytes, and clients take it no more."""

SCHEMA_1_REFUSED = (
    "the image is in Docker's old schema 1 format, which clients take no more and which is not"
    " served here; it has to be pushed again in the OCI or schema 2 format"
)
"""What people are told of one."""

# RFC 6838, section 4.2. Nothing else: what a manifest says of itself becomes a header, and a
# browser that is told text/html would run it.
_APPLICATION = re.compile(r"application/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


def media_type_of(body: bytes) -> str:
    """The media type of a manifest: what it says of itself, else what its fields show.

    distribution's layout does not keep the type beside the content either
    (registry/storage/manifeststore.go). OCI manifests may leave `mediaType` out (image-spec,
    manifest.md); Docker's never do.
    """
    manifest = object_in(body)
    if manifest is None:
        return UNKNOWN
    stated = manifest.get("mediaType")
    if isinstance(stated, str) and _APPLICATION.fullmatch(stated):
        return stated
    if manifest.get("schemaVersion") == 1:
        return "application/vnd.docker.distribution.manifest.v1+prettyjws"
    return OCI_INDEX if "manifests" in manifest else OCI_MANIFEST


def object_in(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a document is; None where it is anything else."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
