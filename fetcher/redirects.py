"""Following redirects by hand: who is asked next, and what is no longer told them."""

from dataclasses import dataclass
from urllib.parse import urljoin

import requests

from common.errors import UpstreamError
from fetcher.bodies import discard
from fetcher.origin import Origin
from fetcher.throughput import Floor
from fetcher.transport import Transport

MAX_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer of a chain.

    `url` is where it came from; `away` says that the chain left the origin it began at, so that
    this is not the registry's own word.
    """

    response: requests.Response
    url: str
    away: bool


def follow(
    transport: Transport,
    first: requests.Response,
    method: str,
    url: str,
    headers: dict[str, str],
    floor: Floor,
) -> Answer:
    """Follow at most MAX_HOPS redirects from `first`, the answer to this; raises UpstreamError.

    With the first step to another scheme, host or port the Authorization is dropped, and stays
    so on a way back. https never leads to http. Where a hop may connect to is the transport's
    business.
    """
    home = Origin.of(url)
    response, away = first, False
    for _ in range(MAX_HOPS):
        if response.status_code not in _REDIRECTS:
            return Answer(response, url, away)
        discard(response, floor)
        url, origin = _target(url, response)
        if origin != home:
            away = True
            headers = {name: value for name, value in headers.items() if name != "Authorization"}
        response = transport.send(method, url, headers)
    if response.status_code not in _REDIRECTS:
        return Answer(response, url, away)
    discard(response, floor)
    raise UpstreamError(f"more than {MAX_HOPS} redirects", retryable=False)


def _target(url: str, response: requests.Response) -> tuple[str, Origin]:
    location = response.headers.get("Location", "")
    try:
        joined = urljoin(url, location) if location else ""
        target = str(requests.Request("GET", joined).prepare().url)
        origin = Origin.of(target)
    except (ValueError, requests.RequestException) as error:
        raise UpstreamError("a redirect to no http or https URL", retryable=False) from error
    if Origin.of(url).scheme == "https" and origin.scheme != "https":
        raise UpstreamError(f"refused a redirect from https to {origin}", retryable=False)
    return target, origin
