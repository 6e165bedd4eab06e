"""What an honest upstream would have, in whatever repository it is asked about."""

import json

from common.digest import Digest

REPOSITORY = "library/app"
BLOB = bytes(range(256)) * 400
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def digest_of(content: bytes) -> Digest:
    """Its sha256."""
    return Digest.of(content)


MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2},
        "layers": [{"mediaType": _LAYER, "digest": digest_of(BLOB), "size": len(BLOB)}],
    }
).encode()  # fmt: skip
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {"mediaType": MANIFEST_TYPE, "digest": digest_of(MANIFEST), "size": len(MANIFEST)}
        ],
    }
).encode()
