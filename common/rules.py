"""Which repositories of an upstream may be had: `allow` and `deny`, lists of patterns.

A pattern is a repository's name, as the upstream has it, in which

    *       stands for any text within one component: `org/*` is org/app, and not org/team/app
    **      stands for any text, also of several components: `org/**` is both, and not org itself
    **/     at the beginning, for any leading components or none: `**/app` is app and org/app

`deny` wins. Without `allow` everything is allowed that is not denied; an empty list is as none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from common.reference import MAX_NAME, RepositoryName

_PATTERN = re.compile(rf"[a-z0-9._/*-]{{1,{MAX_NAME}}}")
_PART = re.compile(r"^\*\*/|\*\*+|\*|[^*]+")


def is_pattern(text: str) -> bool:
    """Whether `text` can match a repository's name at all."""
    return (
        _PATTERN.fullmatch(text) is not None
        and not text.startswith("/")
        and not text.endswith("/")
        and "//" not in text
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """One upstream's; falsy when everything is allowed."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    _allowed: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _denied: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the patterns."""
        object.__setattr__(self, "_allowed", _compiled(self.allow))
        object.__setattr__(self, "_denied", _compiled(self.deny))

    def __bool__(self) -> bool:
        return bool(self.allow or self.deny)

    def permit(self, repository: RepositoryName) -> bool:
        """Whether `repository`, as the upstream calls it, may be had."""
        if self._denied is not None and self._denied.fullmatch(repository):
            return False
        return self._allowed is None or self._allowed.fullmatch(repository) is not None


def _compiled(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_expression, patterns))) if patterns else None


def _expression(pattern: str) -> str:
    return "".join(_translated(part) for part in _PART.findall(pattern))


def _translated(part: str) -> str:
    if part == "**/":
        return "(?:.*/)?"
    if part.startswith("**"):
        return ".*"
    return "[^/]*" if part == "*" else re.escape(part)
