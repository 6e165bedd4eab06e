"""What HTTP asks of a request's head and gunicorn leaves to the application (RFC 9112, section 3.2)."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn.asgi.parser import ParseError

_ABSOLUTE = re.compile(rb"https?://(?:[^/@]*@)?([^/@]+)(.*)", re.IGNORECASE)


def settle(request: Any) -> None:
    """Have gunicorn's `request` name its target by its path, and be the last before a body.

    Raises ParseError, which is a 400.
    """
    if request.content_length or request.chunked:
        # Nobody here reads it: no later request is to be told from it.
        request.must_close = True
    if not request.raw_path.startswith(b"/"):
        _take_apart(request)
    for name, _value in request.headers_bytes:
        if name == b"host":
            return
    if request.version >= (1, 1):
        raise ParseError("a request needs a Host header")


def _take_apart(request: Any) -> None:
    """Of a target in absolute form, which proxies are sent, the host stands for the Host header's."""
    absolute = _ABSOLUTE.fullmatch(request.raw_path)
    if absolute is None:  # authority or asterisk form: no path that anything answers to
        return
    host, path = absolute[1], absolute[2] or b"/"
    request.raw_path = path
    request.path = unquote_to_bytes(path).decode("utf-8", "replace")
    request.headers_bytes = [
        (name, host if name == b"host" else value) for name, value in request.headers_bytes
    ]
