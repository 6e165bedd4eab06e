"""What a janitor walks over: see common.walk."""

from common.walk import digests, entries, links, repositories

__all__ = ["digests", "entries", "links", "repositories"]
