"""What an upstream says of the requests it still allows us.

Docker Hub sends `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600` with answers
about manifests: 76 of 100 pulls are left, counted over 21600 seconds. HEAD requests are told it
too, and are not counted (docs.docker.com, "Pull usage and limits").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common import logs

log = logs.get(__name__)

_VALUE = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9})\s*)?(?:[;,].*)?")

# A share of the limit, below which people should know.
_LOW = 0.1

_ENOUGH, _LITTLE, _NOTHING = range(3)
_TEXTS = {
    _LITTLE: "little is left of the upstream's limit",
    _NOTHING: "the upstream's limit is used up",
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What was left when last heard: `remaining` of `limit` requests, counted over `window` seconds.

    `window` is None where it was not said.
    """

    limit: int
    remaining: int
    window: int | None


def allowance_in(headers: Mapping[str, str]) -> Allowance | None:
    """What an answer's headers (names in any case) say; None: nothing, or nothing that makes sense."""
    limit = _VALUE.fullmatch(headers.get("RateLimit-Limit", "")[:200])
    remaining = _VALUE.fullmatch(headers.get("RateLimit-Remaining", "")[:200])
    if not limit or not remaining:
        return None
    window = limit[2] or remaining[2]
    return Allowance(int(limit[1]), int(remaining[1]), int(window) if window else None)


class Quota:
    """What one upstream last said of it; tells the log when little is left, and when nothing is."""

    def __init__(self, shown: str) -> None:
        """`shown` is how logs call the upstream."""
        self._shown = shown
        self._told = _ENOUGH
        self.allowance: Allowance | None = None

    def heed(self, headers: Mapping[str, str]) -> None:
        """Take in what an answer says."""
        heard = allowance_in(headers)
        if heard is None:
            return
        self.allowance = heard
        degree = _degree(heard)
        if degree > self._told:
            log.warning(
                _TEXTS[degree],
                upstream=self._shown,
                remaining=heard.remaining,
                limit=heard.limit,
                window=heard.window,
            )
        self._told = degree


def _degree(heard: Allowance) -> int:
    if heard.remaining == 0:
        return _NOTHING
    return _LITTLE if heard.remaining <= heard.limit * _LOW else _ENOUGH
