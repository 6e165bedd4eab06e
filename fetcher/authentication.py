"""Answering an upstream's challenges: anonymous first, then what it asks for, as far as we allow."""

from collections.abc import Callable

from common.reference import RepositoryName
from fetcher.challenge import Challenge, parse_challenges
from fetcher.credentials import Credentials
from fetcher.origin import Origin
from fetcher.realm import check_realm
from fetcher.settings import UpstreamSettings
from fetcher.throughput import Floor
from fetcher.tokens import Tokens, TokenServer
from fetcher.transport import Transport


class Authentication:
    """What is sent as Authorization to one upstream's own origin; thread-safe.

    The way it wants to be authenticated to is remembered from its first challenge, so that later
    requests need no refusal first.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        transport: Transport,
        credentials: Credentials,
        new_floor: Callable[[], Floor],
    ) -> None:
        """`transport` is for token servers."""
        self._home = Origin.of(settings.remoteurl)
        self._realmhosts = settings.realmhosts
        self._credentials = credentials
        self._tokens = Tokens(transport, credentials, new_floor)
        # A TokenServer, or True for Basic. One assignment, one read: no lock needed.
        self._way: TokenServer | bool = False

    def header(self, repository: RepositoryName) -> str | None:
        """What to send unasked; None while nothing is known. Raises UpstreamError."""
        way = self._way
        if isinstance(way, TokenServer):
            return _bearer(self._tokens.get(way, repository))
        return self._basic() if way else None

    def answer(
        self, challenges: str, repository: RepositoryName, refused: str | None
    ) -> str | None:
        """What to send instead of `refused`, given a 401's WWW-Authenticate value.

        None when there is nothing else to send. Raises UpstreamError, not retryable when the
        challenge points where we do not go.
        """
        offered = parse_challenges(challenges)
        if bearer := next((one for one in offered if one.scheme == "bearer"), None):
            server = self._way = self._checked(bearer)
            rejected = (refused or "").removeprefix("Bearer ")
            return _bearer(self._tokens.get(server, repository, rejected))
        return self._answer_basic(refused) if _offers_basic(offered) else None

    def is_there(self) -> bool:
        """Whether the token server answers, where there is one; raises UpstreamError if it does not."""
        way = self._way
        return not isinstance(way, TokenServer) or self._tokens.is_there(way)

    def _answer_basic(self, refused: str | None) -> str | None:
        if refused and refused == self._basic():
            self._credentials.rejected(self._home.host_shown)
        basic = self._basic()
        if not basic or basic == refused:
            return None
        self._way = True
        return basic

    def _basic(self) -> str | None:
        return self._credentials.basic(self._home.host_shown)

    def _checked(self, bearer: Challenge) -> TokenServer:
        realm = bearer.parameters.get("realm", "")
        check_realm(self._home, realm, self._realmhosts)
        return TokenServer(realm, bearer.parameters.get("service", ""))


def _offers_basic(offered: list[Challenge]) -> bool:
    return any(challenge.scheme == "basic" for challenge in offered)


def _bearer(token: str) -> str:
    return f"Bearer {token}"
