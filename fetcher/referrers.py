"""What an upstream lists about a manifest (OCI distribution-spec, "Listing Referrers").

Asked of the referrers API; where that is not there, of the tag that clients keep instead
("Referrers Tag Schema").
"""

from typing import Any

from common.digest import Digest
from common.errors import InvalidDigest, UpstreamError
from common.mediatypes import OCI_INDEX, object_in
from common.reference import RepositoryName, Tag
from common.referrers import index_of
from fetcher import manifests
from fetcher.answers import Asked
from fetcher.bodies import discard
from fetcher.manifests import MANIFEST_BYTES
from fetcher.pages import Listing
from fetcher.redirects import Answer
from fetcher.registry import Registry

MAX_PAGES = 100
# Clients hold no more of it than of a manifest (oras-go, go-containerregistry: 4 MiB).
LIST_BYTES = MANIFEST_BYTES

_OK, _NOT_FOUND = 200, 404

# How registries say that they do not know the API: the specification has 404 for it, and some
# take the path for a bad request instead (go-containerregistry's remote/referrers.go).
_NO_API = frozenset({400, _NOT_FOUND, 405, 406, 410, 501})

Descriptor = dict[str, Any]


def all_referrers(
    registry: Registry, repository: RepositoryName, subject: Digest
) -> list[Descriptor]:
    """As Upstream.referrers."""
    # Never filtered there: one list answers all that clients may filter by.
    listing = Listing("a list of referrers", Asked.MANIFEST, OCI_INDEX, MAX_PAGES, LIST_BYTES)
    url = registry.url(repository, f"referrers/{subject}")
    answer = listing.ask(registry, repository, url)
    if not _is_api(answer):
        discard(answer.response, registry.new_floor())
        return _by_tag(registry, repository, subject)
    descriptors: list[Descriptor] = []
    for body in listing.pages(registry, repository, url, answer):
        descriptors += _listed_in(body)
    if len(index_of(descriptors)) > LIST_BYTES:  # could grow when written anew
        raise UpstreamError(f"a list of referrers of more than {LIST_BYTES} bytes", retryable=False)
    return descriptors


def _is_api(answer: Answer) -> bool:
    status = answer.response.status_code
    told = answer.response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return told == OCI_INDEX if status == _OK else status not in _NO_API


def _by_tag(registry: Registry, repository: RepositoryName, subject: Digest) -> list[Descriptor]:
    try:
        found = manifests.get(registry, repository, schema_tag(subject), (OCI_INDEX,))
    except UpstreamError as error:
        if error.status == _NOT_FOUND:
            return []
        raise
    # "... does not return a valid image index: the client SHOULD assume there are no referrers".
    return _descriptors(object_in(found.body)) or []


def schema_tag(subject: Digest) -> Tag:
    """The tag under which clients list what refers to `subject`."""
    return Tag(f"{subject.algorithm[:32]}-{subject.hex[:64]}")


def _listed_in(body: bytes) -> list[Descriptor]:
    descriptors = _descriptors(object_in(body))
    if descriptors is None:
        raise UpstreamError("the list of referrers makes no sense")
    return descriptors


def _descriptors(index: dict[str, Any] | None) -> list[Descriptor] | None:
    """What an image index lists, None where it is none; without what nobody could pull."""
    if index is None or "manifests" not in index:
        return None
    listed = index["manifests"] or []
    if not isinstance(listed, list):
        return None
    return [each for each in listed if isinstance(each, dict) and _names_content(each)]


def _names_content(descriptor: Descriptor) -> bool:
    try:
        Digest(str(descriptor.get("digest")))
    except InvalidDigest:
        return False
    return isinstance(descriptor.get("mediaType"), str)
