"""Digests: the names of content (OCI image-spec, descriptor.md, "Digests")."""

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from common.errors import InvalidDigest

if TYPE_CHECKING:
    from hashlib import _Hash

# Only the two algorithms the specification registers, lower-case hex of the exact length:
# a digest becomes a path, so nothing else may pass.
_GRAMMAR = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")


class Digest(str):
    """`sha256:<64 hex>` or `sha512:<128 hex>`, checked when made.

    Raises InvalidDigest for anything else, other algorithms included.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check `text`."""
        if not _GRAMMAR.fullmatch(text):
            raise InvalidDigest(text[:160])
        return super().__new__(cls, text)

    @property
    def algorithm(self) -> str:
        """`sha256` or `sha512`."""
        return self[:6]

    @property
    def hex(self) -> str:
        """The hexadecimal part."""
        return self[7:]

    def hasher(self) -> "_Hash":
        """A fresh hash of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def matches(self, content: bytes) -> bool:
        """Whether `content` is what this digest names."""
        hasher = self.hasher()
        hasher.update(content)
        return hasher.hexdigest() == self.hex

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> "Digest":
        """The digest of `content`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")


@lru_cache(maxsize=16384)
def parse_digest(text: str) -> Digest:
    """`Digest(text)`, remembered: the same few thousand are asked for all day."""
    return Digest(text)
