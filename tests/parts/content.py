"""Repositories made up by a test, and the answers a registry gives about them
(OCI distribution-spec 1.1, "Pull" and "Content Discovery").
"""

import json
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from common.digest import Digest
from tests.parts.faults import Answer

_PIECE = 64 * 1024
_INDEX = "application/vnd.oci.image.index.v1+json"
_RESOURCE = re.compile(
    r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<reference>[^/]+)"
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class Repository:
    """What one repository has; nothing in another one is served from here."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def referrers(self, subject: str) -> Iterator[dict[str, Any]]:
        """Descriptors of the manifests whose subject this is, in the order of their arrival."""
        for digest, (media_type, content) in self.manifests.items():
            manifest = json.loads(content)
            if isinstance(manifest, dict) and manifest.get("subject", {}).get("digest") == subject:
                yield described(digest, media_type, content)


class Content:
    """Repositories by name."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        # Set, no answer lists more tags than this, whatever `n` asks for.
        self.most_tags: int | None = None
        # Set, the referrers API is there, and no answer of it lists more than this.
        self.most_referrers: int | None = None

    def add_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> Digest:
        """Put a blob into a repository."""
        digest = Digest.of(content, algorithm)
        self._repository(repository).blobs[digest] = content
        return digest

    def add_manifest(
        self,
        repository: str,
        tag: str | None,
        content: bytes,
        media_type: str,
        algorithm: str = "sha256",
    ) -> Digest:
        """Put a manifest into a repository, and point the tag at it if one is given."""
        digest = Digest.of(content, algorithm)
        self._repository(repository).manifests[digest] = (media_type, content)
        if tag is not None:
            self._repository(repository).tags[tag] = digest
        return digest

    def remove(self, repository: str, reference: str) -> None:
        """Forget a blob, a manifest or a tag."""
        kept = self._repository(repository)
        for kind in (kept.blobs, kept.manifests, kept.tags):
            kind.pop(reference, None)

    def answer(self, path: str, query: str, headers: dict[str, str]) -> Answer:
        """What a registry says to a GET with these headers (names in lower case)."""
        if path in ("/v2/", "/v2"):
            return document(200, {})
        match = _RESOURCE.fullmatch(path)
        repository = self.repositories.get(match["name"]) if match else None
        if match is None or repository is None:
            return failure(404, "NAME_UNKNOWN")
        if match["kind"] == "tags":
            return self._list_tags(match["name"], repository, query)
        if match["kind"] == "referrers":
            return self._list_referrers(path, repository, match["reference"], query)
        if match["kind"] == "blobs":
            return _blob(repository, match["reference"], headers)
        return _manifest(repository, match["reference"], headers)

    def _repository(self, name: str) -> Repository:
        return self.repositories.setdefault(name, Repository())

    def _list_tags(self, name: str, repository: Repository, query: str) -> Answer:
        asked = urllib.parse.parse_qs(query)
        after = asked.get("last", [""])[0]
        tags = sorted(tag for tag in repository.tags if tag > after)
        limits = [int(asked["n"][0])] if "n" in asked else []
        limits += [self.most_tags] if self.most_tags is not None else []
        page = tags[: min(limits)] if limits else tags
        answer = document(200, {"name": name, "tags": page})
        if page and len(page) < len(tags):
            following = urllib.parse.urlencode({"last": page[-1], "n": min(limits)})
            answer.headers["Link"] = f'</v2/{name}/tags/list?{following}>; rel="next"'
        return answer

    def _list_referrers(
        self, path: str, repository: Repository, subject: str, query: str
    ) -> Answer:
        """One page of the descriptors; the next begins at an offset that is nobody's business."""
        if self.most_referrers is None:
            return failure(404, "UNSUPPORTED")
        found = list(repository.referrers(subject))
        start = int(urllib.parse.parse_qs(query).get("start", ["0"])[0])
        end = start + self.most_referrers
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found[start:end]}
        answer = document(200, index)
        answer.headers["Content-Type"] = _INDEX
        if end < len(found):
            answer.headers["Link"] = f'<{path}?start={end}>; rel="next"'
        return answer


def document(status: int, body: object) -> Answer:
    """An answer in JSON."""
    content = json.dumps(body).encode()
    return Answer(status, {"Content-Type": "application/json"}, iter((content,)), len(content))


def failure(status: int, code: str) -> Answer:
    """An answer in the form of the specification's errors."""
    return document(status, {"errors": [{"code": code, "message": code.lower(), "detail": None}]})


def described(digest: str, media_type: str, content: bytes) -> dict[str, Any]:
    """A referrer's descriptor (distribution-spec, "Listing Referrers")."""
    manifest = json.loads(content)
    descriptor = {"mediaType": media_type, "digest": digest, "size": len(content)}
    kind = manifest.get("artifactType") or manifest.get("config", {}).get("mediaType")
    if kind:
        descriptor["artifactType"] = kind
    if manifest.get("annotations"):
        descriptor["annotations"] = manifest["annotations"]
    return descriptor


def pieces(content: bytes) -> Iterator[bytes]:
    """`content` in parts, none of them copied before it is asked for."""
    return (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))


def _manifest(repository: Repository, reference: str, headers: dict[str, str]) -> Answer:
    digest = repository.tags.get(reference, reference)
    if digest not in repository.manifests:
        return failure(404, "MANIFEST_UNKNOWN")
    media_type, content = repository.manifests[digest]
    described = _described(digest)
    if headers.get("if-none-match") == described["ETag"]:
        return Answer(304, described)
    return Answer(200, {**described, "Content-Type": media_type}, pieces(content), len(content))


def _blob(repository: Repository, digest: str, headers: dict[str, str]) -> Answer:
    if digest not in repository.blobs:
        return failure(404, "BLOB_UNKNOWN")
    content = repository.blobs[digest]
    described = {
        **_described(digest),
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
    }
    match = _RANGE.fullmatch(headers.get("range", ""))
    if not match or headers.get("if-range", described["ETag"]) != described["ETag"]:
        return Answer(200, described, pieces(content), len(content))
    start, end = _bounds(match[1], match[2], len(content))
    if start >= end:
        return Answer(416, {**described, "Content-Range": f"bytes */{len(content)}"})
    described["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Answer(206, described, pieces(content[start:end]), end - start)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Start and end (exclusive) of a range within `size` bytes (RFC 9110, section 14.1.2)."""
    if not first:
        return (max(0, size - int(last)), size) if last else (size, size)
    return int(first), min(size, int(last) + 1) if last else size


def _described(digest: str) -> dict[str, str]:
    return {"Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
