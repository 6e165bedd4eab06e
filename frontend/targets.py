"""What a plain request for content is about, read from its path and query."""

import re
from dataclasses import dataclass
from functools import lru_cache

from common.digest import Digest, parse_digest
from common.errors import InvalidInput
from common.messages import Kind
from common.reference import RepositoryName, Tag
from common.source import Source
from frontend.naming import Naming
from frontend.router import Router

# How many are remembered. A path has a name and a digest, a query `ns` and a host: what is longer
# than these can be is not understood here, so all of them together are few megabytes.
_MOST = 8192

# Without escapes, which would have to be undone, and `ns` alone (see headers.source_of).
_QUERY = re.compile(rb"ns=([A-Za-z0-9._:\[\]-]{1,255})")


class NotPlain(Exception):
    """It takes the application to tell."""


@dataclass(frozen=True, slots=True)
class Target:
    """A repository's blob or manifest; `namespace` is its `ns`, empty where it has none."""

    source: Source
    stored: RepositoryName
    kind: Kind
    reference: Digest | Tag
    namespace: bytes


class Targets:
    """Reads requests' targets, and remembers them: the same few thousand are asked for all day."""

    def __init__(self, router: Router, naming: Naming) -> None:
        """`router` knows the paths, `naming` whose they are."""
        self._router = router
        self._naming = naming
        self.of = lru_cache(_MOST)(self._read)
        """The target of a path (str) and a query (bytes). Raises NotPlain, which is not remembered."""

    def _read(self, path: str, query: bytes) -> Target:
        content = self._router.content(path)
        if content is None:
            raise NotPlain
        kind, name, reference = content
        namespace = _namespace(query)
        try:
            source = self._naming.resolve(name, namespace)
            is_tag = kind is Kind.MANIFEST and ":" not in reference
            wanted = Tag(reference) if is_tag else parse_digest(reference)
        except InvalidInput:
            raise NotPlain from None
        return Target(source, source.stored, kind, wanted, namespace.encode("ascii"))


def _namespace(query: bytes) -> str:
    if not query:
        return ""
    found = _QUERY.fullmatch(query)
    if found is None:
        raise NotPlain
    return found[1].decode("ascii")
