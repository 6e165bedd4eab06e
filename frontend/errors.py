"""The one table from errors to HTTP answers, in the specification's JSON.

OCI distribution-spec, "Error Codes": a 4xx has one of those and no other, though distribution has
more of its own (registry/api/errcode/register.go), of which UNAVAILABLE is used for 503.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import falcon
import falcon.asgi

from common import logs
from common.errors import (
    BrokerUnavailable,
    InvalidDigest,
    InvalidInput,
    InvalidName,
    InvalidTag,
    UpstreamError,
)
from frontend import counting, request_ids
from frontend.auth.access import CannotTell, Refused, TooManyAttempts
from frontend.naming import Denied, UnknownNamespace

_log = logs.get(__name__)


class OutOfPatience(Exception):
    """What was asked for did not come in the time a client will wait."""


class Crowded(OutOfPatience):
    """Too many wait already; the text, which clients see, says which of the bounds is reached."""


class BadPageSize(InvalidInput):
    """`n` is no number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as a client sees it; `retry_after` in seconds."""

    status: int
    code: str
    message: str
    retry_after: float | None = None


# Most specific first; the first that fits answers.
_INVALID: list[tuple[type[InvalidInput], int, str, str]] = [
    (Denied, 403, "DENIED", "the configuration does not allow this repository"),
    (UnknownNamespace, 404, "NAME_UNKNOWN", "no such registry is configured here"),
    (InvalidDigest, 400, "DIGEST_INVALID", "not a sha256 or sha512 digest"),
    (InvalidTag, 400, "MANIFEST_INVALID", "not a tag or digest"),
    (InvalidName, 400, "NAME_INVALID", "not a repository name"),
    (BadPageSize, 400, "UNSUPPORTED", "n must be a number, 0 or more"),
]

_BY_STATUS = {
    400: "UNSUPPORTED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    414: "NAME_INVALID",
    416: "SIZE_INVALID",
}

# What we suggest a client waits when nobody told us better, in seconds.
_RETRY_AFTER = 5.0


def answer_for(error: BaseException) -> Answer:
    """What a client is told of `error`."""
    if isinstance(error, InvalidInput):
        return _invalid(error)
    if isinstance(error, UpstreamError):
        return _from_upstream(error)
    if isinstance(error, BrokerUnavailable | OutOfPatience | OSError):
        return _not_now(error)
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, falcon.HTTPError):
        code = _BY_STATUS.get(error.status_code, "UNSUPPORTED")
        return Answer(error.status_code, code, error.title or "not understood")
    return Answer(500, "UNKNOWN", "something went wrong here")


def _invalid(error: InvalidInput) -> Answer:
    for kind, status, code, message in _INVALID:
        if isinstance(error, kind):
            return Answer(status, code, message)
    return Answer(400, "UNSUPPORTED", "not understood")


def _refused(error: Refused) -> Answer:
    # 401 also where a token's scope is too narrow, for which RFC 6750 has 403: clients ask for a
    # wider one only then, and distribution answers so. 503 where nothing was decided.
    if isinstance(error, TooManyAttempts):
        return Answer(503, "TOOMANYREQUESTS", "too many wrong passwords", _RETRY_AFTER)
    if isinstance(error, CannotTell):
        return Answer(503, "UNAVAILABLE", "who may come in cannot be told now", _RETRY_AFTER)
    return Answer(401, "UNAUTHORIZED", "authentication required")


def _not_now(error: BrokerUnavailable | OutOfPatience | OSError) -> Answer:
    if isinstance(error, BrokerUnavailable):
        return Answer(503, "UNAVAILABLE", "the queue cannot be reached", _RETRY_AFTER)
    if isinstance(error, OSError):
        return Answer(503, "UNAVAILABLE", "storage cannot be used now", _RETRY_AFTER)
    if isinstance(error, Crowded):
        # Not 429, which dockerd takes for final.
        return Answer(503, "TOOMANYREQUESTS", str(error), _RETRY_AFTER)
    return Answer(
        503,
        "UNAVAILABLE",
        "it has not come in time; the upstream is slow, or much waits for it",
        _RETRY_AFTER,
    )


def _from_upstream(error: UpstreamError) -> Answer:
    # An upstream's 429 is never passed on: dockerd takes it for final and leaves the mirror.
    status = (
        HTTPStatus.SERVICE_UNAVAILABLE
        if error.status == HTTPStatus.TOO_MANY_REQUESTS
        else error.status
    )
    retry_after = error.retry_after
    if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is None:
        retry_after = _RETRY_AFTER
    return Answer(status, error.code, str(error), retry_after)


def body_of(code: str, message: str, detail: Any = None) -> bytes:
    """The specification's error document."""
    error: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        error["detail"] = detail
    return json.dumps({"errors": [error]}).encode()


def write(resp: falcon.asgi.Response, answer: Answer) -> None:
    """Answer with an error."""
    resp.status = answer.status
    resp.content_type = "application/json"
    resp.stream = None
    resp.data = body_of(answer.code, answer.message)
    if answer.retry_after is not None:
        resp.set_header("Retry-After", str(max(1, round(answer.retry_after))))


async def handle(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: BaseException, _params: Any
) -> None:
    """Falcon's error handler for everything."""
    answer = answer_for(error)
    counting.refused(answer.status, answer.code)
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, OSError):
        _log.error("request failed", method=req.method, path=req.path[:200], exc_info=error)
    # What a user can quote, and all processes' logs have.
    resp.set_header("X-Request-ID", request_ids.current())
    if isinstance(error, falcon.HTTPError) and error.headers:
        resp.set_headers(error.headers)
    write(resp, answer)
