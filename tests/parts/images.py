"""Real images made of this machine's own files, in OCI layout folders (image-spec,
image-layout.md), the same bytes each time on the same machine.

    <folder>/oci-layout
    <folder>/index.json                  tags, as org.opencontainers.image.ref.name
    <folder>/blobs/sha256/<hex>          manifests, configurations, layers
"""

import gzip
import io
import json
import platform
import random
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.digest import Digest
from tests.parts.content import Content, described

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Of this machine, as images name it.
ARCHITECTURE = _ARCHITECTURES.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Layer:
    """A compressed layer, and the digest of what it is uncompressed."""

    blob: bytes
    diff_id: Digest

    @property
    def digest(self) -> Digest:
        """Of the compressed bytes."""
        return Digest.of(self.blob)


def files_layer(under: str, limit_bytes: int) -> Layer:
    """Regular files below the folder `under`, in order of their names, up to `limit_bytes`."""
    return _layer(_files(Path(under), limit_bytes))


def random_layer(size: int, seed: int) -> Layer:
    """One file of `size` bytes that do not compress, determined by `seed`."""
    return _layer(iter([(f"data/{seed}", random.Random(seed).randbytes(size))]))


def _files(folder: Path, limit_bytes: int) -> Iterator[tuple[str, bytes]]:
    left = limit_bytes
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > left:
            continue
        content = path.read_bytes()
        left -= len(content)
        yield str(path.relative_to("/")), content


def _layer(files: Iterator[tuple[str, bytes]]) -> Layer:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    tar = buffer.getvalue()
    return Layer(gzip.compress(tar, compresslevel=1, mtime=0), Digest.of(tar))


def machine_layers() -> list[Layer]:
    """Four layers, a dozen megabytes together."""
    return [
        files_layer("/usr/bin", 8_000_000),
        files_layer("/usr/share/common-licenses", 500_000),
        files_layer("/usr/lib/python3", 3_000_000),
        random_layer(4_000_000, seed=1),
    ]


class Layout:
    """An OCI layout folder that images are added to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tags: dict[str, dict[str, Any]] = {}
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True, exist_ok=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def read(self, digest: str) -> bytes:
        """The bytes of a blob or manifest."""
        return (self._blobs / Digest(digest).hex).read_bytes()

    def add_image(
        self, tag: str, layers: Sequence[Layer], architecture: str = ARCHITECTURE
    ) -> Digest:
        """Write an image manifest with its configuration and layers; its digest."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/usr/bin"], "Cmd": ["/usr/bin/env"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": "files of this machine"} for _ in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._add(CONFIG, _encode(config)),
            "layers": [self._add(LAYER, layer.blob) for layer in layers],
        }
        return self._tag(tag, self._add(MANIFEST, _encode(manifest)))

    def add_index(self, tag: str, images: Mapping[str, str]) -> Digest:
        """Write an index over images that were added, by architecture; its digest."""
        manifests = [
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": len(self.read(digest)),
                "platform": {"architecture": architecture, "os": "linux"},
            }
            for architecture, digest in images.items()
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return self._tag(tag, self._add(INDEX, _encode(index)))

    def add_artifact(
        self,
        tag: str,
        kind: str,
        layers: Mapping[str, bytes],
        *,
        config: tuple[str, bytes] = (EMPTY, b"{}"),
        subject: str | None = None,
    ) -> Digest:
        """Write what is no image: `layers` by media type, about the manifest `subject` if given.

        `kind` is its artifactType; `config` a media type and its content (image-spec,
        manifest.md, "Guidelines for Artifact Usage").
        """
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": self._add(*config),
            "layers": [self._add(media_type, layer) for media_type, layer in layers.items()],
            "annotations": {"org.opencontainers.image.title": tag},
        }
        if subject is not None:
            about = self.read(subject)
            media_type = json.loads(about)["mediaType"]
            manifest["subject"] = {"mediaType": media_type, "digest": subject, "size": len(about)}
        return self._tag(tag, self._add(MANIFEST, _encode(manifest)))

    def referrers_index(self, subject: str, referrers: Sequence[str]) -> tuple[str, bytes, str]:
        """The index that clients keep where there is no referrers API: tag, content, media type
        (distribution-spec, "Referrers Tag Schema").
        """
        manifests = [described(each, MANIFEST, self.read(each)) for each in referrers]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return Digest(subject).replace(":", "-"), _encode(index), INDEX

    def tagged(self, tag: str) -> Digest:
        """The digest that a tag points at."""
        return Digest(self._tags[tag]["digest"])

    def blobs_of(self, digest: str) -> list[Digest]:
        """Configuration and layers of an image manifest, in its order."""
        manifest = json.loads(self.read(digest))
        return [Digest(each["digest"]) for each in (manifest["config"], *manifest["layers"])]

    def push(self, tag: str, host: str, name: str, *, schema2: bool = False) -> None:
        """Push to `host`/`name`:`tag` with skopeo, an index with all its images.

        `schema2` turns the manifest into Docker's, whose digest is another.
        """
        form = ["--format", "v2s2"] if schema2 else []
        source, target = f"oci:{self.folder}:{tag}", f"docker://{host}/{name}:{tag}"
        run = ["skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false", *form]
        done = subprocess.run([*run, source, target], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def put_into(self, content: Content, tag: str, repository: str, *, as_tag: str) -> None:
        """Put a tagged image, or an index with its images, into a made-up repository."""
        self._put(content, repository, self._tags[tag], as_tag)

    def _put(
        self, content: Content, repository: str, descriptor: dict[str, Any], tag: str | None
    ) -> None:
        raw = self.read(descriptor["digest"])
        content.add_manifest(repository, tag, raw, descriptor["mediaType"])
        for image in json.loads(raw).get("manifests", []):
            self._put(content, repository, image, None)
        if descriptor["mediaType"] == MANIFEST:
            for blob in self.blobs_of(descriptor["digest"]):
                content.add_blob(repository, self.read(blob))

    def _add(self, media_type: str, content: bytes) -> dict[str, Any]:
        digest = Digest.of(content)
        (self._blobs / digest.hex).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _tag(self, tag: str, descriptor: dict[str, Any]) -> Digest:
        annotations = {"org.opencontainers.image.ref.name": tag}
        self._tags[tag] = {**descriptor, "annotations": annotations}
        index = {"schemaVersion": 2, "manifests": list(self._tags.values())}
        (self.folder / "index.json").write_bytes(_encode(index))
        return Digest(descriptor["digest"])


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
