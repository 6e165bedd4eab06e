"""Headers that requests bring and answers carry."""

import re

import falcon.asgi

from common.digest import Digest
from common.source import Source
from frontend import request_ids
from frontend.naming import Naming, UnknownNamespace

# Content under a digest never changes (distribution: registry/storage/blobserver.go).
_FOREVER = "max-age=31536000"

# A registry's name: a host, with or without a port. `ns` is repeated in a header of the answer,
# also where any will do because there is only one upstream.
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")


def source_of(
    naming: Naming, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str
) -> Source:
    """The source a request is about; what it was scoped by is said in the answer.

    Raises InvalidName and UnknownNamespace.
    """
    namespace = req.get_param("ns")
    if namespace and not _HOST.fullmatch(namespace):
        raise UnknownNamespace(namespace[:160])
    source = naming.resolve(name, namespace)
    if namespace:
        resp.set_header("OCI-Namespace", namespace)
    return source


def describe(resp: falcon.asgi.Response, digest: Digest, media_type: str) -> None:
    """Say what the content is."""
    resp.content_type = media_type
    resp.set_header("Docker-Content-Digest", digest)
    resp.set_header("ETag", f'"{digest}"')


def describe_blob(resp: falcon.asgi.Response, digest: Digest) -> None:
    """As `describe`; and let whoever stands between us and the client keep this."""
    describe(resp, digest, "application/octet-stream")
    resp.set_header("Cache-Control", _FOREVER)
    resp.set_header("Accept-Ranges", "bytes")


def mark_stale(resp: falcon.asgi.Response) -> None:
    """Say that the upstream could not be asked, and that this is what it said the last time.

    In the only form that the specification leaves (OCI distribution-spec, "Warnings"): RFC 7234's
    own code for it, 110, would not be one.
    """
    resp.set_header("Warning", '299 - "stale: the upstream could not be asked"')


def is_known(req: falcon.asgi.Request, digest: Digest) -> bool:
    """Whether the client has this content already (RFC 9110, section 13.1.2)."""
    wanted = req.get_header("If-None-Match")
    if wanted is None:
        return False
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in wanted.split(",")]
    return digest in tags or "*" in tags


def wanted_range(req: falcon.asgi.Request, digest: Digest) -> str | None:
    """The Range header, unless If-Range names other content (RFC 9110, section 13.1.5)."""
    condition = req.get_header("If-Range")
    if condition is not None and condition.strip() != f'"{digest}"':
        return None
    return req.get_header("Range")


def request_id() -> str:
    """A name for one request's traces in all processes' logs."""
    return request_ids.current()
