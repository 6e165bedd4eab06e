"""Parts of a blob: how one is asked for, and whether what came is it (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

import requests

from fetcher.bodies import content_length

# Section 14.4; a length of `*` says nothing about the whole and is not taken.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")

# Section 15.5.17: of what is empty there is no part.
_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,19})")

_PARTIAL, _NOT_SATISFIABLE = 206, 416


def told_total(response: requests.Response) -> int | None:
    """How large the whole is, by an answer to a request for a part; None: it does not say."""
    patterns = {_PARTIAL: _CONTENT_RANGE, _NOT_SATISFIABLE: _UNSATISFIED}
    pattern = patterns.get(response.status_code)
    told = pattern and pattern.fullmatch(response.headers.get("Content-Range", ""))
    return int(told[told.lastindex or 1]) if told else None


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a blob from `start` to before `end`; None: to its own end."""

    start: int = 0
    end: int | None = None

    @property
    def is_all(self) -> bool:
        """Whether it is the whole blob, for which no range is asked."""
        return self.start == 0 and self.end is None

    @property
    def headers(self) -> dict[str, str]:
        """The request's header."""
        if self.is_all:
            return {}
        last = "" if self.end is None else self.end - 1
        return {"Range": f"bytes={self.start}-{last}"}

    def answered(self, response: requests.Response, total: int | None) -> tuple[int, int] | None:
        """Where the part ends and how large the whole is, by a 206; None if it is another part.

        `total` is what the whole must have, where that is known. A part must reach to where it was
        asked for, or to the blob's end; what is short of an open one is missed when it has ended.
        """
        told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if told is None:
            return None
        begins, end, whole = int(told[1]), int(told[2]) + 1, int(told[3])
        if begins != self.start or not begins < end <= whole or total not in {None, whole}:
            return None
        # What an answer says of a part and sends of it differs: nothing it says is taken.
        if content_length(response) not in {None, end - begins}:
            return None
        if self.end is None:
            return whole, whole
        return (end, whole) if end == min(self.end, whole) else None
