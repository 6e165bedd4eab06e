"""Lists in pages: `n`, `last`, and the Link to what follows (OCI distribution-spec, "Listing Tags")."""

import re
from urllib.parse import urlencode

import falcon.asgi

from frontend.errors import BadPageSize


def page_size(req: falcon.asgi.Request, most: int) -> int | None:
    """How many entries `n` asks for, at most `most`; None when it asks for nothing.

    Bounded before anything is made of it (CVE-2023-2253). Raises BadPageSize.
    """
    text = req.get_param("n")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise BadPageSize(text[:40])
    return min(int(text), most)


def last(req: falcon.asgi.Request) -> str:
    """The entry after which the page begins; empty for the first page."""
    return req.get_param("last") or ""


def link_next(req: falcon.asgi.Request, resp: falcon.asgi.Response, size: int, last: str) -> None:
    """Say where the next page is: at this path, after `last`."""
    query: dict[str, str | int] = {"n": size, "last": last}
    namespace = req.get_param("ns")
    if namespace:
        query["ns"] = namespace
    resp.set_header("Link", f'<{req.path}?{urlencode(query)}>; rel="next"')
