"""Every kind of content that the OCI conformance suite knows, made up for an upstream.

image-spec: manifest.md, image-index.md, descriptor.md. Each kind is made once for each digest
algorithm, and is told by its tag.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common.digest import Digest
from common.mediatypes import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.parts.content import Content, described

REPOSITORY = "conformance/repo1"
ALGORITHMS = ("sha256", "sha512")

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
ARTIFACT = "application/vnd.example.sbom"
SIGNATURE = "application/vnd.example.signature+json"

Descriptor = dict[str, Any]


@dataclass
class Made:
    """One tag and what belongs to it."""

    tag: str
    algorithm: str
    # The manifest the tag points to; set as manifests are added.
    root: Digest = field(init=False)
    manifests: dict[Digest, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    # Described by a manifest, and nowhere to be had.
    absent: list[Digest] = field(default_factory=list)
    # What refers to which subject, as descriptors.
    referrers: dict[Digest, list[Descriptor]] = field(default_factory=dict)


class Maker:
    """Makes one kind, with `algorithm`, in REPOSITORY of `content`."""

    def __init__(self, content: Content, tag: str, algorithm: str, elsewhere: str) -> None:
        self._content = content
        self.elsewhere = elsewhere
        self.made = Made(tag, algorithm)

    def blob(self, body: bytes, media_type: str, **more: Any) -> Descriptor:
        """A blob in the repository, as its descriptor."""
        digest = self._content.add_blob(REPOSITORY, body, self.made.algorithm)
        self.made.blobs[digest] = body
        return {"mediaType": media_type, "digest": digest, "size": len(body), **more}

    def layer(self, text: str = "a layer", **more: Any) -> Descriptor:
        """A layer nobody else has."""
        return self.blob(f"{text} of {self.made.tag}".encode(), LAYER, **more)

    def config(self, **more: Any) -> Descriptor:
        """An image's configuration."""
        config = {"architecture": "amd64", "os": "linux", "of": self.made.tag, **more}
        return self.blob(json.dumps(config).encode(), CONFIG)

    def manifest(self, media_type: str, **fields: Any) -> Descriptor:
        """A manifest in the repository, the tag's from now on; as its descriptor."""
        manifest = {"schemaVersion": 2, "mediaType": media_type, **fields}
        body = json.dumps(manifest, indent=2).encode()
        made = self.made
        made.root = self._content.add_manifest(
            REPOSITORY, made.tag, body, media_type, made.algorithm
        )
        made.manifests[made.root] = (media_type, body)
        if "subject" in fields:
            descriptor = described(made.root, media_type, body)
            made.referrers.setdefault(fields["subject"]["digest"], []).append(descriptor)
        return {"mediaType": media_type, "digest": made.root, "size": len(body)}

    def image(self, **fields: Any) -> Descriptor:
        """An image of one layer."""
        parts = {"config": self.config(), "layers": [self.layer()]}
        return self.manifest(OCI_MANIFEST, **{**parts, **fields})

    def index(self, *manifests: Descriptor, **fields: Any) -> Descriptor:
        """An index."""
        return self.manifest(OCI_INDEX, manifests=list(manifests), **fields)

    def absent(self, media_type: str, **more: Any) -> Descriptor:
        """The descriptor of what is not there."""
        digest = Digest.of(f"absent from {self.made.tag}".encode(), self.made.algorithm)
        self.made.absent.append(digest)
        return {"mediaType": media_type, "digest": digest, "size": 17, **more}


def _index(make: Maker) -> None:
    one = make.image(annotations={"number": "1"})
    other = make.image(annotations={"number": "2"})
    make.index(one, other)


def _nested_index(make: Maker) -> None:
    inner = make.index(make.image(annotations={"number": "1"}))
    make.index(inner, make.image(annotations={"number": "2"}))


def _artifact(make: Maker) -> None:
    make.image(config=make.blob(b"{}", EMPTY), artifactType=ARTIFACT)


def _subject(make: Maker) -> None:
    subject = make.image()
    annotations = {"org.example.of": make.made.tag}
    make.image(
        config=make.blob(b"{}", EMPTY),
        artifactType=ARTIFACT,
        subject=subject,
        annotations=annotations,
    )
    make.image(subject=subject, config=make.blob(b'{"signed": 1}', SIGNATURE))


def _subject_missing(make: Maker) -> None:
    missing = make.absent(OCI_MANIFEST)
    make.image(config=make.blob(b"{}", EMPTY), artifactType=SIGNATURE, subject=missing)


def _subject_list(make: Maker) -> None:
    subject = make.index(make.image())
    make.index(make.image(annotations={"of": "another"}), subject=subject, artifactType=ARTIFACT)


def _foreign(make: Maker) -> None:
    make.image(layers=[make.absent(FOREIGN, urls=[f"{make.elsewhere}/layer"]), make.layer()])


def _docker(make: Maker) -> None:
    make.manifest(DOCKER_MANIFEST, config=make.config(), layers=[make.layer()])


def _docker_list(make: Maker) -> None:
    image = make.manifest(DOCKER_MANIFEST, config=make.config(), layers=[make.layer()])
    platform = {"architecture": "amd64", "os": "linux"}
    make.manifest(DOCKER_LIST, manifests=[{**image, "platform": platform}])


KINDS: dict[str, Callable[[Maker], Any]] = {
    "image": Maker.image,
    "index": _index,
    "nested-index": _nested_index,
    "artifact": _artifact,
    "artifact-index": lambda make: make.index(make.image(), artifactType=ARTIFACT),
    "subject": _subject,
    "subject-missing": _subject_missing,
    "subject-list": _subject_list,
    "data-field": lambda make: make.image(config=make.blob(b"{}", EMPTY, data="e30=")),
    "nondistributable": _foreign,
    "custom-fields": lambda make: make.image(**{"org.example.extra": {"deep": [1, "ü"]}}),
    "no-layers": lambda make: make.image(layers=[]),
    "empty-blob": lambda make: make.image(layers=[make.blob(b"", LAYER)]),
    "docker-schema2": _docker,
    "docker-list": _docker_list,
}


def make_all(content: Content, elsewhere: str) -> dict[str, Made]:
    """Put every kind into REPOSITORY, by tag; what is not distributable is said to be `elsewhere`."""
    made: dict[str, Made] = {}
    for algorithm in ALGORITHMS:
        for kind, build in KINDS.items():
            maker = Maker(content, f"{kind}-{algorithm}", algorithm, elsewhere)
            build(maker)
            made[maker.made.tag] = maker.made
    return made


TAGS = [f"{kind}-{algorithm}" for algorithm in ALGORITHMS for kind in KINDS]
