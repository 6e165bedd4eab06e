"""Seals: what a blob's file says of itself, beside its bytes.

    user.entrepot.verified = "<size> <unix time>"

Whoever has compared a blob's bytes with its digest notes the size they had, and when, in an
extended attribute of the file: it goes where the file goes, costs no file of its own, and stays
when the file is cut short, which the size in the file system does not. So a hit tells a damaged
length without reading a byte. A blob without a seal was never verified here: another registry's,
or one on a file system without extended attributes (NFS before 4.2). It is served as it is; the
janitor's scrub verifies and seals it.
"""

import os
from contextlib import suppress
from dataclasses import dataclass

from common.digest import Digest

_NAME = "user.entrepot.verified"

# Sizes that are remembered, so that a hit asks the file system once per blob and process.
_MOST_SIZES = 65536


@dataclass(frozen=True, slots=True)
class Seal:
    """The size in bytes that was right, and when that was found (unix seconds)."""

    size: int
    verified: float


def read_seal(file: int | str) -> Seal | None:
    """The seal of an open file or a path; None when it has none that can be read."""
    try:
        size, verified = os.getxattr(file, _NAME).split()
        return Seal(int(size), float(verified))
    except (OSError, ValueError):
        return None


def write_seal(file: int | str, seal: Seal) -> bool:
    """Whether the file is now sealed; a full disk or an old file system is no error here."""
    try:
        os.setxattr(file, _NAME, f"{seal.size} {seal.verified:.0f}".encode())
    except OSError:
        return False
    return True


def break_seal(file: int | str) -> None:
    """Have the file say nothing of itself."""
    with suppress(OSError):
        os.removexattr(file, _NAME)


class Sizes:
    """Which sizes of blobs are right, as far as their seals tell."""

    def __init__(self) -> None:
        """Know none yet."""
        self._right: dict[Digest, int] = {}

    def fits(self, digest: Digest, size: int, file: int | str) -> bool:
        """Whether nothing speaks against `size` bytes being the whole blob."""
        if self._right.get(digest) == size:
            return True
        seal = read_seal(file)
        if seal is not None and seal.size != size:
            return False
        if len(self._right) >= _MOST_SIZES:
            self._right.clear()
        self._right[digest] = size
        return True
