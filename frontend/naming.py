"""Which upstream a request means: `ns`, a path prefix, or the default.

OCI distribution-spec, "Registry Proxying": `ns` is a key to look up among the configured names,
never an address. A name has exactly one upstream; there is no falling through to another.

However a client says it, one repository of one upstream has one name in storage, and no two share
one: see `Source.stored` and `_locate`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from common.errors import InvalidInput, InvalidName
from common.reference import RepositoryName
from common.rules import Rules
from common.source import DEFAULT_UPSTREAM, Source

# Docker Hub's registry answers at these addresses but is called docker.io by every client, which
# says library/alpine where its user says alpine (distribution's reference/normalize.go).
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_HOSTS = ("registry-1.docker.io", "index.docker.io")
_OFFICIAL = "library/"


class UnknownNamespace(InvalidName):
    """No upstream of that name is configured here."""


class Denied(InvalidInput):
    """The configuration does not allow this repository."""


@dataclass(frozen=True, slots=True)
class Naming:
    """The upstreams by name, and what else they may be called.

    `aliases` are further names, each of one upstream; those with a dot in them are prefixes too
    (without one, a repository of the default upstream may well begin as its host is called).
    `hubs` are the upstreams that are Docker Hub, `rules` what may be had where not everything may.
    """

    names: frozenset[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    hubs: frozenset[str] = frozenset()
    rules: Mapping[str, Rules] = field(default_factory=dict)
    _prefixes: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Put together what a path may begin with."""
        prefixes = {alias: upstream for alias, upstream in self.aliases.items() if "." in alias}
        prefixes.update((name, name) for name in self.names if name != DEFAULT_UPSTREAM)
        object.__setattr__(self, "_prefixes", prefixes)

    def resolve(self, name: str, namespace: str | None) -> Source:
        """The source of repository `name` as a client wrote it, with its `ns` if it gave one.

        Raises InvalidName, UnknownNamespace where nothing of that name is configured, and Denied.
        """
        source = self.locate(name, namespace)
        if self.rules:
            rules = self.rules.get(source.upstream)
            if rules is not None and not rules.permit(source.repository):
                raise Denied(source.repository)
        return source

    def locate(self, name: str, namespace: str | None) -> Source:
        """As `resolve`, of repositories that are not allowed too."""
        upstream, repository = self._locate(RepositoryName(name), namespace)
        if upstream in self.hubs and "/" not in repository:
            repository = RepositoryName(_OFFICIAL + repository)
        source = Source(upstream, repository)
        if upstream != DEFAULT_UPSTREAM:
            _ = source.stored  # the name with its prefix must be one too
        return source

    def _locate(self, name: RepositoryName, namespace: str | None) -> tuple[str, RepositoryName]:
        first, slash, rest = name.partition("/")
        if namespace:
            upstream = self._upstream(namespace)
            # Clients of mirrors that lie under a path say both (BuildKit).
            if slash and first == namespace:
                name = RepositoryName(rest)
        elif slash and first in self._prefixes:
            upstream, name = self._prefixes[first], RepositoryName(rest)
        elif DEFAULT_UPSTREAM in self.names:
            return DEFAULT_UPSTREAM, name
        else:
            raise UnknownNamespace(first)
        if upstream == DEFAULT_UPSTREAM and self._is_anothers(name):
            raise UnknownNamespace(name.partition("/")[0])
        return upstream, name

    def _is_anothers(self, name: RepositoryName) -> bool:
        """Whether what the default upstream calls so would be stored as another one's."""
        first, slash, _ = name.partition("/")
        return bool(slash) and first in self._prefixes

    def _upstream(self, namespace: str) -> str:
        if namespace in self.names:
            return namespace
        if namespace in self.aliases:
            return self.aliases[namespace]
        raise UnknownNamespace(namespace[:160])


def naming(
    remoteurls: Mapping[str, str],
    rules: Mapping[str, Rules] | None = None,
    namespaces: Mapping[str, Sequence[str]] | None = None,
) -> Naming:
    """The naming for upstreams given as name to `remoteurl`, and as name to their rules and to
    what else they are configured to be called.
    """
    hosts = {name: urlsplit(remoteurl).netloc.lower() for name, remoteurl in remoteurls.items()}
    hubs = frozenset(
        name
        for name, host in hosts.items()
        if name == _DOCKER_HUB or host in (_DOCKER_HUB, *_DOCKER_HUB_HOSTS)
    )
    return Naming(
        frozenset(remoteurls),
        _aliases(hosts, hubs, namespaces or {}),
        hubs,
        {name: one for name, one in (rules or {}).items() if one},
    )


def _aliases(
    hosts: Mapping[str, str], hubs: frozenset[str], namespaces: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """What is called by another name than its own; nobody's own name is among it.

    A host with several upstreams means none of the named ones: they may have different accounts.
    """
    shared = Counter(hosts.values())
    aliases = {host: name for name, host in hosts.items() if shared[host] == 1}
    if DEFAULT_UPSTREAM in hosts:
        aliases[hosts[DEFAULT_UPSTREAM]] = DEFAULT_UPSTREAM
    hub = DEFAULT_UPSTREAM if DEFAULT_UPSTREAM in hubs else min(hubs, default=None)
    if hub is not None and (hub == DEFAULT_UPSTREAM or len(hubs) == 1):
        aliases.update(dict.fromkeys((_DOCKER_HUB, *_DOCKER_HUB_HOSTS), hub))
    aliases.update({each: name for name, also in namespaces.items() for each in also})
    return {name: upstream for name, upstream in aliases.items() if name and name not in hosts}
