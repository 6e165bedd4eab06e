"""What an upstream's refusal means: from its status and body to the facts of an UpstreamError."""

import json
import re
import time
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import Any

import requests

from common.errors import UpstreamError
from fetcher.bodies import read_capped
from fetcher.throughput import Floor

_BODY_BYTES = 8 * 1024
_EXCERPT = 200

# Longer than this nobody should be kept waiting by a header.
MAX_RETRY_AFTER = 3600.0


class Asked(Enum):
    """What was asked for, as the OCI error code that says it is not there."""

    BLOB = "BLOB_UNKNOWN"
    MANIFEST = "MANIFEST_UNKNOWN"
    TAGS = "NAME_UNKNOWN"


_NOT_THERE = frozenset(asked.value for asked in Asked)


def refusal(
    response: requests.Response, asked: Asked, *, away: bool, floor: Floor
) -> UpstreamError:
    """The error that an answer other than the hoped-for amounts to.

    `away` says that a redirect's target answered. Of such an answer only the status counts, and
    it is always worth asking the registry again: signed addresses expire.

    From the registry itself 404 and 410 mean not there; 401 and 403 mean 403 DENIED, also
    where it only hides that a repository is missing (Docker Hub does): never 401, since a
    client cannot answer a challenge that is addressed to us; 429 means 503 TOOMANYREQUESTS;
    408 and 5xx a passing 502; anything else a lasting 502.
    """
    status = response.status_code
    code, excerpt = ("", "") if away else _error_in(response, floor)
    message = f"{'storage behind the registry' if away else 'the registry'} answered {status}"
    return UpstreamError(
        message + (f": {excerpt}" if excerpt else ""),
        retry_after=retry_after(response.headers.get("Retry-After", "")),
        **_meaning(status, code, asked, away=away),
    )


def _meaning(status: int, code: str, asked: Asked, *, away: bool) -> dict[str, Any]:
    if status == HTTPStatus.TOO_MANY_REQUESTS or code == "TOOMANYREQUESTS":
        return {"status": 503, "code": "TOOMANYREQUESTS", "retryable": True}
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        known = code if code in _NOT_THERE else asked.value
        return {"status": 404, "code": known, "retryable": away}
    if away:
        return {"status": 502, "code": "UNKNOWN", "retryable": True}
    if status in {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    }:
        return {"status": 403, "code": "DENIED", "retryable": False}
    passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT
    return {"status": 502, "code": "UNKNOWN", "retryable": passing}


def _error_in(response: requests.Response, floor: Floor) -> tuple[str, str]:
    """The OCI error code in a body, if there is one, and what people may read of it."""
    try:
        body = read_capped(response, _BODY_BYTES, floor) or b""
        first = json.loads(body)["errors"][0]
        code, message = first.get("code"), first.get("message")
    except (UpstreamError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
    code = code if isinstance(code, str) and re.fullmatch(r"[A-Z_]{1,40}", code) else ""
    message = _without_credentials(message, response) if isinstance(message, str) else ""
    return code, printable(f"{code} {message}")


def _without_credentials(message: str, response: requests.Response) -> str:
    """`message` without what was sent as Authorization: some registries repeat what they refuse."""
    sent = response.request.headers.get("Authorization", "").partition(" ")[2]
    return message.replace(sent, "(credentials)") if sent else message


def printable(text: str) -> str:
    """A short excerpt of `text` that cannot break a log line or a header."""
    return re.sub(r"[^ -~]+", " ", text)[:_EXCERPT].strip()


def retry_after(header: str) -> float | None:
    """The seconds a Retry-After asks for (RFC 9110, section 10.2.3), at most MAX_RETRY_AFTER."""
    header = header.strip()
    if re.fullmatch(r"[0-9]{1,10}", header):
        return min(float(header), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(moment - time.time(), 0.0), MAX_RETRY_AFTER)
