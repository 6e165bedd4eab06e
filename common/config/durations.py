"""Durations as Go writes them (`time.ParseDuration`): `1h30m`, `168h`, `1.5s`, `300ms`."""

import re
from decimal import Decimal

NANOSECONDS = 1_000_000_000
"""In one second."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3_600 * NANOSECONDS,
}
_TERM = rf"([0-9]+\.?[0-9]*|\.[0-9]+)({'|'.join(_UNITS)})"
_DURATION = re.compile(rf"([+-]?)((?:{_TERM})+)")
# Go counts nanoseconds in an int64: some 292 years.
_LONGEST = 2**63 - 1


def parse(text: str) -> int:
    """The nanoseconds that a Go duration, or a bare integer, stands for.

    A bare integer is nanoseconds: that is how distribution's decoder reads one into a
    `time.Duration`. Raises ValueError.
    """
    if is_bare(text):
        return _bounded(int(text))
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(text)
    sign = -1 if match[1] == "-" else 1
    terms = re.findall(_TERM, match[2])
    return _bounded(sign * sum(int(Decimal(number) * _UNITS[unit]) for number, unit in terms))


def is_bare(text: str) -> bool:
    """Whether this is an integer without a unit."""
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None


def write(nanoseconds: int) -> str:
    """The shortest usual way to write it: `1h30m`, `1.5s`, `300ms`, `0s`."""
    if nanoseconds < 0:
        return "-" + write(-nanoseconds)
    for unit, below in (("ns", 1_000), ("us", 1_000_000), ("ms", NANOSECONDS)):
        if 0 < nanoseconds < below:
            return _decimal(nanoseconds, _UNITS[unit]) + unit
    hours, rest = divmod(nanoseconds, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    terms = [(str(hours), "h"), (str(minutes), "m"), (_decimal(rest, NANOSECONDS), "s")]
    return "".join(number + unit for number, unit in terms if number != "0") or "0s"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _bounded(nanoseconds: int) -> int:
    if abs(nanoseconds) > _LONGEST:
        raise ValueError(nanoseconds)
    return nanoseconds
