"""Sizes in bytes: `500GB` counts in thousands, `10GiB` in 1024s, a bare integer in bytes."""

import re
from decimal import Decimal

_LETTERS = "KMGTP"
_UNITS = (
    {"": 1, "B": 1}
    | {f"{letter}B": 1000 ** (power + 1) for power, letter in enumerate(_LETTERS)}
    | {f"{letter}iB": 1024 ** (power + 1) for power, letter in enumerate(_LETTERS)}
)
# `10G` is left out on purpose: half the world reads it as GB, the other half as GiB.
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")


def parse(text: str) -> int:
    """The bytes a size stands for; raises ValueError."""
    match = _SIZE.fullmatch(text)
    unit = match and match[2].replace("k", "K", 1)
    if match is None or unit not in _UNITS:
        raise ValueError(text)
    return int(Decimal(match[1]) * _UNITS[unit])


def write(size: int) -> str:
    """The size in the largest unit that it is a whole number of."""
    for unit, factor in sorted(_UNITS.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}" if factor > 1 else str(size)
    return str(size)
