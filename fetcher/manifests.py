"""Manifests of an upstream: small enough to hold whole, checked against what they are called."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import requests

from common.digest import Digest
from common.errors import InvalidDigest, UpstreamError
from common.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1,
    SCHEMA_1_REFUSED,
    media_type_of,
    object_in,
)
from common.reference import RepositoryName, Tag
from fetcher.answers import Asked
from fetcher.bodies import discard, read_capped
from fetcher.registry import Registry

# OCI distribution-spec, "Pushing Manifests": registries should accept 4 MiB at least, and
# clients hold no more than that.
MANIFEST_BYTES = 4 * 1024 * 1024

# What is asked for when the caller does not say: everything, as it is for clients of every kind,
# but preferably nothing that is not listed. Docker's schema 1 is refused when it comes.
MANIFEST_TYPES = (
    OCI_INDEX,
    DOCKER_LIST,
    OCI_MANIFEST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    "*/*",
)

_OK, _NOT_MODIFIED = 200, 304
_NO_HEAD = frozenset({405, 501})
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's bytes as the upstream has them, their media type and their digest."""

    body: bytes
    media_type: str
    digest: Digest


def get(
    registry: Registry, repository: RepositoryName, reference: Digest | Tag, accept: Sequence[str]
) -> Manifest:
    """As Upstream.manifest."""
    url = registry.url(repository, f"manifests/{reference}")
    answer = registry.ask("GET", url, repository, {"Accept": ", ".join(accept)})
    if answer.response.status_code != _OK:
        raise registry.refuse(answer, Asked.MANIFEST)
    floor = registry.new_floor()
    try:
        body = read_capped(answer.response, MANIFEST_BYTES, floor)
    finally:
        answer.response.close()
    registry.manners.manifest_bytes.add(len(body or b""))
    if body is None:
        raise UpstreamError(
            f"a manifest of more than {MANIFEST_BYTES} bytes",
            code="MANIFEST_INVALID",
            retryable=False,
        )
    # First, as it is the reason when its digest does not match.
    if SCHEMA_1 & {_told_type(answer.response), media_type_of(body)}:
        raise _refused_schema_1()
    digest = _checked_digest(body, reference, answer.response)
    return Manifest(body, _media_type(answer.response, body, accept), digest)


def head(
    registry: Registry, repository: RepositoryName, tag: Tag, known: Digest | None
) -> Digest | None:
    """As Upstream.head_manifest."""
    headers = {"Accept": ", ".join(MANIFEST_TYPES)}
    if known:
        headers["If-None-Match"] = f'"{known}"'
    url = registry.url(repository, f"manifests/{tag}")
    answer = registry.ask("HEAD", url, repository, headers)
    status = answer.response.status_code
    if status != _OK and status not in _NO_HEAD and not (known and status == _NOT_MODIFIED):
        raise registry.refuse(answer, Asked.MANIFEST)
    discard(answer.response, registry.new_floor())
    if status == _NOT_MODIFIED:
        return known
    if _told_type(answer.response) in SCHEMA_1:
        raise _refused_schema_1()
    return _told_digest(answer.response) if status == _OK else None


def _checked_digest(body: bytes, reference: Digest | Tag, response: requests.Response) -> Digest:
    """The manifest's digest: by digest what was asked for, by tag what the upstream says it is."""
    expected = reference if isinstance(reference, Digest) else _told_digest(response)
    if expected and not expected.matches(body):
        raise UpstreamError(f"the manifest is not the content of {expected}")
    # Without a digest nothing else says that this is not some proxy's log-in page.
    if not expected and object_in(body) is None:
        raise UpstreamError("no manifest, but something else that came with status 200")
    return expected or Digest.of(body)


def _refused_schema_1() -> UpstreamError:
    return UpstreamError(SCHEMA_1_REFUSED, status=404, code="MANIFEST_UNKNOWN", retryable=False)


def _told_digest(response: requests.Response) -> Digest | None:
    try:
        return Digest(response.headers.get("Docker-Content-Digest", ""))
    except InvalidDigest:
        return None


def _media_type(response: requests.Response, body: bytes, accept: Sequence[str]) -> str:
    """The Content-Type when it is one we asked for, else what the manifest calls itself."""
    told = _told_type(response)
    named = told if told in accept else _own_media_type(body) or told
    return named if _MEDIA_TYPE.fullmatch(named) else "application/octet-stream"


def _told_type(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _own_media_type(body: bytes) -> str:
    named = (object_in(body) or {}).get("mediaType")
    return named if isinstance(named, str) else ""
