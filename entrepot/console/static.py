"""Style sheet, script and icon: files of this package, named after what is in them."""

import hashlib
from functools import cache
from http import HTTPStatus
from importlib import resources

from entrepot.console.web import Refusal, Response

_TYPES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def url_of(name: str) -> str:
    """Where the file is served; another version is served elsewhere, so it may be kept."""
    return f"/static/{_tag(name)}/{name}"


def serve(name: str) -> Response:
    """The file; raises Refusal."""
    if name not in _TYPES:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is no such file.")
    kept = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(_content(name), content_type=_TYPES[name], headers=kept)


@cache
def _content(name: str) -> bytes:
    return resources.files("entrepot.console").joinpath("files", name).read_bytes()


@cache
def _tag(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:12]
