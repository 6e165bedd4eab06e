"""An image made on the spot, as an OCI image layout (OCI image-spec, image-layout.md)."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.digest import Digest

LAYERS = 4
LAYER_BYTES = 5_000_000

_OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Image:
    """An image in `layout`; `size` is what a client that has none of it must download, in bytes."""

    layout: Path
    digest: Digest
    size: int


def make_image(layout: Path) -> Image:
    """Write the image; always the same bytes, hardly compressible, as layers mostly are."""
    (layout / "blobs" / "sha256").mkdir(parents=True)
    archives = [_archive(number) for number in range(LAYERS)]
    layers = [
        _add(layout, gzip.compress(archive, 1, mtime=0), "layer.v1.tar+gzip")
        for archive in archives
    ]
    config = _add(layout, _json(_config(archives)), "config.v1+json")
    manifest = _add(layout, _json(_manifest(config, layers)), "manifest.v1+json")
    (layout / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (layout / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [manifest]}))
    parts = [manifest, config, *layers]
    return Image(layout, Digest(manifest["digest"]), sum(part["size"] for part in parts))


def _archive(number: int) -> bytes:
    # Not secret but the same everywhere, so that the story's figures can be compared.
    content = random.Random(number).randbytes(LAYER_BYTES)  # noqa: S311
    entry = tarfile.TarInfo(f"srv/part-{number}")
    entry.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _config(archives: list[bytes]) -> dict[str, Any]:
    diff_ids = [f"sha256:{hashlib.sha256(archive).hexdigest()}" for archive in archives]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}


def _manifest(config: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    kind = f"{_OCI}.manifest.v1+json"
    return {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}


def _add(layout: Path, content: bytes, kind: str) -> dict[str, Any]:
    """Store a blob; its descriptor."""
    digest = Digest.of(content)
    (layout / "blobs" / "sha256" / digest.hex).write_bytes(content)
    return {"mediaType": f"{_OCI}.{kind}", "digest": digest, "size": len(content)}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
