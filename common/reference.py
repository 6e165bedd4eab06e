"""Repository names and tags (OCI distribution-spec, "Pulling manifests")."""

import re
from typing import Self

from common.errors import InvalidName, InvalidTag

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")

# distribution's reference/regexp.go: the whole name, including what a mirror puts in front of it.
MAX_NAME = 255


class RepositoryName(str):
    """A repository's name, checked when made.

    Lower-case components joined by `/`, each of letters and digits with single separators
    between them; so it never holds an empty, `.` or `..` component and may become a path.
    Raises InvalidName.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check `text`."""
        if len(text) > MAX_NAME or not _NAME.fullmatch(text):
            raise InvalidName(text[:160])
        return super().__new__(cls, text)


class Tag(str):
    """A tag, checked when made: at most 128 of letters, digits, `_`, `.`, `-`, not led by the last two.

    Raises InvalidTag.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check `text`."""
        if not _TAG.fullmatch(text):
            raise InvalidTag(text[:160])
        return super().__new__(cls, text)
