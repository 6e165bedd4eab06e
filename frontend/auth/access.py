"""What a request wants to do, in the words that access is granted in.

distribution's token specification ("Requesting a Token", scopes): `type:name:action,action`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol

import falcon.asgi

from common.errors import InvalidName
from common.reference import RepositoryName
from common.source import DEFAULT_UPSTREAM
from frontend.naming import Naming


class Action(StrEnum):
    """What can be done to a resource."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ALL = "*"


class Access(NamedTuple):
    """One thing that a request wants to do."""

    type: str
    name: str
    action: Action


class Refused(Exception):
    """Who asks is not let in. `challenge` is what WWW-Authenticate says; empty: nothing."""

    def __init__(self, challenge: str = "") -> None:
        super().__init__("not let in")
        self.challenge = challenge


class TooManyAttempts(Refused):
    """Too much of what this client tried was wrong: for now it is not even looked at."""


class CannotTell(Refused):
    """What is needed to decide cannot be read, or so many ask that deciding takes too long."""


class Scheme(Protocol):
    """A way to find out who asks."""

    async def admit(self, req: falcon.asgi.Request, wanted: Iterable[Access]) -> str:
        """The name of who asks, who may do all that is wanted. Raises Refused."""
        ...


_ACTIONS = {
    "GET": (Action.PULL,),
    "HEAD": (Action.PULL,),
    "DELETE": (Action.DELETE,),
    "POST": (Action.PULL, Action.PUSH),
    "PUT": (Action.PULL, Action.PUSH),
    "PATCH": (Action.PULL, Action.PUSH),
}
CATALOG = (Access("registry", "catalog", Action.ALL),)
"""What the list of all repositories takes."""


def to_repository(method: str, name: str | None) -> tuple[Access, ...]:
    """What `method` does to the repository called `name`; nothing where it has no such name.

    distribution: registry/handlers/app.go. The other methods do nothing to it.
    """
    if name is None:
        return ()
    return tuple(Access("repository", name, action) for action in _ACTIONS.get(method, ()))


def scoped_name(naming: Naming, name: str, namespace: str | None) -> str | None:
    """What the repository is called where access to it is granted; None: it cannot be one.

    The name as the client wrote it, since clients make the scopes they ask for from it. One that
    `ns` scopes is called as by its path prefix, so that a grant for a repository of the default
    upstream opens none of another's.
    """
    try:
        plain = RepositoryName(name)
        if not namespace:
            return plain
        return _prefixed(naming, plain, namespace)
    except InvalidName:
        return None


def _prefixed(naming: Naming, name: RepositoryName, namespace: str) -> str:
    try:
        upstream = naming.locate(name, namespace).upstream
    except InvalidName:  # unknown: whether it is must not show before access is decided
        upstream = namespace
    return name if upstream == DEFAULT_UPSTREAM else RepositoryName(f"{upstream}/{name}")
