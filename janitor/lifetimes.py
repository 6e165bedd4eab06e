"""How long what came from an upstream is kept after its last use."""

from collections.abc import Mapping

from common.reference import RepositoryName
from common.source import DEFAULT_UPSTREAM, Source, source_of

# distribution's default (registry/proxy/proxyregistry.go), for the one case in which nothing is
# configured: no default upstream, and content of one that is no longer there.
_FALLBACK = 7 * 24 * 3600.0


class Lifetimes:
    """The configured `ttl` of each upstream, by name, in seconds; None keeps for ever."""

    def __init__(self, ttls: Mapping[str, float | None]) -> None:
        """Take them as configured."""
        self._ttls = dict(ttls)
        self._names = tuple(self._ttls)

    def of(self, upstream: str) -> float | None:
        """The life of what came from `upstream`.

        From one that is no longer configured: the default upstream's. Nobody can ask for it any
        more, so it must go some day; but a name left out by mistake must not empty the cache.
        """
        if upstream in self._ttls:
            return self._ttls[upstream]
        return self._ttls.get(DEFAULT_UPSTREAM, _FALLBACK)

    @property
    def configured(self) -> dict[str, float | None]:
        """All of them, by name."""
        return dict(self._ttls)

    def is_shorter(self, upstream: str, before: Mapping[str, float | None]) -> bool:
        """Whether `upstream`'s life ends sooner than it did under `before`; not if that is unknown."""
        former, now = before.get(upstream, before.get(DEFAULT_UPSTREAM, 0.0)), self.of(upstream)
        return now is not None and (former is None or now < former)

    def longest(self) -> float | None:
        """The longest of all lives."""
        lives = [*self._ttls.values(), self.of(DEFAULT_UPSTREAM)]
        return None if None in lives else max(life for life in lives if life is not None)

    def source(self, stored: RepositoryName) -> Source:
        """Where the repository stored under this name came from; the reverse of `Source.stored`."""
        return source_of(stored, self._names)
