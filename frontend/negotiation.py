"""Content negotiation for manifests: what a client's Accept says it can take.

Nothing is converted, as that would change the digest, and nothing is refused: the specification
has an existing manifest answered with 200, and a client that did not list its type sees from
Content-Type what it got. (distribution answers 404 for an OCI manifest that Accept does not list,
`*/*` not counting; to a client that is a missing image.)

One thing is chosen: a client that asks for a tag, can take images but no indexes, gets the image
of the platform that distribution takes for the default (registry/handlers/manifests.go), which
does so for Docker's lists.
"""

import re
from functools import lru_cache
from typing import Any

from common.digest import Digest
from common.errors import InvalidDigest
from common.mediatypes import INDEXES, object_in

_PLATFORM = ("linux", "amd64")

# The longest that is remembered; those of real clients have a few hundred characters.
_LONGEST = 2048

_WEIGHT = re.compile(r";\s*q\s*=\s*([0-9.]+)", re.IGNORECASE)


def takes(accept: str | None, media_type: str) -> bool:
    """Whether a client that sends this Accept (None: no such header) takes `media_type`."""
    if accept is None or not accept.strip():
        return True
    types = _types_in(accept) if len(accept) <= _LONGEST else _types_in.__wrapped__(accept)
    return not types.isdisjoint({media_type, "application/*", "*/*"})


def image_instead(index: bytes, media_type: str, accept: str | None) -> Digest | None:
    """The image to give to a client that cannot take this index; None: it takes it, or none fits."""
    # What nearly all clients send is seen without taking it apart.
    if accept is None or (media_type in accept and ";" not in accept):
        return None
    if media_type not in INDEXES or takes(accept, media_type):
        return None
    listed = (object_in(index) or {}).get("manifests")
    for descriptor in listed if isinstance(listed, list) else ():
        if isinstance(descriptor, dict) and _fits(descriptor, accept):
            try:
                return Digest(str(descriptor.get("digest")))
            except InvalidDigest:
                return None
    return None


def _fits(descriptor: dict[str, Any], accept: str | None) -> bool:
    platform = descriptor.get("platform")
    return (
        isinstance(platform, dict)
        and (platform.get("os"), platform.get("architecture")) == _PLATFORM
        and takes(accept, str(descriptor.get("mediaType")))
    )


@lru_cache(maxsize=256)
def _types_in(accept: str) -> frozenset[str]:
    """The media ranges in an Accept (RFC 9110, section 12.5.1), those of weight 0 left out."""
    return frozenset(
        each.partition(";")[0].strip().lower()
        for each in accept.split(",")
        if not _is_unwanted(each)
    )


def _is_unwanted(media_range: str) -> bool:
    weight = _WEIGHT.search(media_range)
    return weight is not None and not weight[1].strip("0.")
