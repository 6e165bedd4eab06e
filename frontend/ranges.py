"""Byte ranges of a request (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

# More digits than any file has; int() of a long text is itself an attack.
_SPEC = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRange(Exception):
    """The range lies outside the content: 416."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to, but without, `end`."""

    start: int
    end: int


def requested_span(header: str | None, size: int) -> Span | None:
    """The part of `size` bytes a Range header asks for; None means the whole.

    Several ranges, other units and malformed headers are ignored, as section 14.2 has it.
    Raises UnsatisfiableRange.
    """
    match = _SPEC.fullmatch(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableRange
    return Span(start, end)


def _suffix(length: int, size: int) -> Span:
    if length == 0 or size == 0:
        raise UnsatisfiableRange
    return Span(max(size - length, 0), size)
