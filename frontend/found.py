"""What the lane has looked up for a request that it hands on, so that nobody looks twice."""

from dataclasses import dataclass

import falcon.asgi

from common.blobstore import OpenBlob
from common.tags import StoredTag
from frontend.contents import Content

KEY = "entrepot.found"
"""Where it lies in a request's ASGI scope."""


@dataclass(slots=True)
class Found:
    """The tag, where one is asked for; the last use of the link of what it points to, or of what is
    asked for by digest (None: no link); and that content.
    """

    tag: StoredTag | None
    used: float | None
    content: Content | OpenBlob | None


def taken(req: falcon.asgi.Request) -> Found | None:
    """What was found, once: it is true of the moment in which the request came."""
    found: Found | None = req.scope.pop(KEY, None)
    return found
