"""Challenges: what a WWW-Authenticate header asks for (RFC 9110, section 11.6.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (RFC 9110's grammar, section 5.6.2)
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))[ \t]*(?=,|$)')
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t,]|$)")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_BETWEEN = re.compile(r"[ \t,]*")
_ESCAPED = re.compile(r"\\(.)")

# Far beyond any real challenge; what follows is not looked at.
_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate. `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges in a header's value (several headers joined by commas), in their order.

    Where the grammar is broken reading ends: what stood before it counts.
    """
    header = header[:_LONGEST]
    challenges: list[Challenge] = []
    position = _after(_BETWEEN, header, 0)
    while position < len(header):
        end = _read_one(header, position, challenges)
        if end is None:
            break
        position = _after(_BETWEEN, header, end)
    return challenges


def _read_one(header: str, position: int, challenges: list[Challenge]) -> int | None:
    """Read a parameter of the last challenge, or the start of a new one; where it ends."""
    if challenges and (parameter := _PARAMETER.match(header, position)):
        name, quoted, plain = parameter.groups()
        value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        # A parameter must occur once only; were a second to count, it could override the first.
        parameters = challenges[-1].parameters
        challenges[-1] = Challenge(challenges[-1].scheme, {name.lower(): value, **parameters})
        return parameter.end()
    if scheme := _SCHEME.match(header, position):
        challenges.append(Challenge(scheme[1].lower()))
        return _after_token68(header, scheme.end())
    return None


def _after_token68(header: str, position: int) -> int:
    # `Basic realm=x` is a parameter, `Negotiate abc=` a token: the parameter's form goes first.
    begin = _after(_BETWEEN, header, position)
    if _PARAMETER.match(header, begin):
        return position
    return _after(_TOKEN68, header, position)


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position
