"""One small HTTP request to a service that the configuration names: a health check, a webhook.

Not for upstreams, whose client is the fetchers' alone.
"""

import base64
import http.client
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from common.config.secret import Secret, WebAddress

# Enough of an answer's body to keep the connection's end orderly; nobody reads it.
_BODY_AT_MOST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `location` where it says to ask elsewhere, which is not done."""

    status: int
    location: str | None


def call(
    method: str,
    address: WebAddress,
    *,
    headers: Mapping[str, Sequence[Secret]],
    timeout: float,
    body: bytes | None = None,
    content_type: str = "",
) -> Reply:
    """Send it, once; raises OSError (a timeout is one) or http.client.HTTPException.

    `timeout` in seconds bounds each step, and the whole twice. Neither proxies nor credentials are
    taken from the environment; redirects are not followed.
    """
    parts = urlsplit(address.reveal())
    deadline = time.monotonic() + 2 * timeout
    connection = _connect(parts.scheme, parts.hostname or "", parts.port, timeout)
    try:
        connection.putrequest(method, (parts.path or "/") + (parts.query and f"?{parts.query}"))
        connection.putheader("User-Agent", "entrepot")
        if parts.username is not None:
            connection.putheader("Authorization", _basic(parts.username, parts.password or ""))
        for name, values in headers.items():
            for value in values:
                connection.putheader(name, value.reveal().encode("latin-1"))
        if body is not None:
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        _read_some(response, deadline)
        return Reply(response.status, response.getheader("Location"))
    finally:
        connection.close()


def _connect(
    scheme: str, host: str, port: int | None, timeout: float
) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _basic(username: str, password: str) -> str:
    account = f"{unquote(username)}:{unquote(password)}".encode()
    return f"Basic {base64.b64encode(account).decode()}"


def _read_some(response: http.client.HTTPResponse, deadline: float) -> None:
    left = _BODY_AT_MOST
    while left > 0 and time.monotonic() < deadline:
        chunk = response.read1(min(left, 8192))
        if not chunk:
            return
        left -= len(chunk)
