"""Where a repository comes from, and under which name it is stored here."""

from collections.abc import Iterable
from dataclasses import dataclass

from common.reference import RepositoryName

# The name of the upstream that answers when a request names none (`proxy.remoteurl`).
DEFAULT_UPSTREAM = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A repository of one upstream.

    `upstream` is the upstream's configured name, never an address: what travels in a message
    can only choose among what this machine's configuration allows.
    `repository` is its name there.
    """

    upstream: str
    repository: RepositoryName

    @property
    def stored(self) -> RepositoryName:
        """The repository's name in our storage folder; raises InvalidName when too long together."""
        if self.upstream == DEFAULT_UPSTREAM:
            return self.repository
        return RepositoryName(f"{self.upstream}/{self.repository}")


def source_of(stored: RepositoryName, upstreams: Iterable[str]) -> Source:
    """Where the repository stored under this name came from, given the names that there are.

    Of two names of which one leads the other, the longer one is meant.
    """
    for name in sorted(filter(None, upstreams), key=len, reverse=True):
        if stored.startswith(f"{name}/"):
            return Source(name, RepositoryName(stored[len(name) + 1 :]))
    return Source(DEFAULT_UPSTREAM, stored)
