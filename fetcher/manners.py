"""How one upstream is spared: rests it asked for, a breaker, limits on connections and bandwidth."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import requests

from common.errors import UpstreamError
from fetcher import watching
from fetcher.breaker import Breaker
from fetcher.pace import Pace
from fetcher.quota import Allowance, Quota
from fetcher.rest import Rest
from fetcher.settings import UpstreamSettings
from fetcher.spares import Spares
from fetcher.turns import Turns


@dataclass(frozen=True, slots=True)
class Condition:
    """How things stand with an upstream, for those who watch over it.

    `connections` are in use by this process, of `most_connections`, `resting` the seconds until it wants to be asked
    again, `is_open` says that its breaker keeps requests back.
    """

    connections: int
    most_connections: int
    resting: float
    is_open: bool
    allowance: Allowance | None


class Exchange:
    """A question put to the upstream; `heard` is called with its own answer, if one comes."""

    def __init__(self, breaker: Breaker, quota: Quota) -> None:
        self._breaker = breaker
        self._quota = quota
        self._is_judged = False

    def heard(self, response: requests.Response) -> None:
        """The registry itself has answered; what comes of redirects is not its doing any more."""
        self._quota.heed(response.headers)
        self._is_judged = True
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._breaker.failed()
        else:
            self._breaker.answered()

    def failed(self, error: UpstreamError) -> None:
        """It ended in `error`, also where that was the token server's doing: no way in is no way in."""
        # What is not retryable is no outage: a certificate, a refusal, an answer out of all reason.
        if not self._is_judged and error.retryable and error.code != "TOOMANYREQUESTS":
            self._breaker.failed()


class Manners:
    """One upstream's; thread-safe."""

    def __init__(
        self,
        settings: UpstreamSettings,
        is_there: Callable[[], bool],
        rest: Rest | None = None,
    ) -> None:
        """`is_there` as in Breaker; `rest` where it is shared with other processes."""
        self._name = settings.name
        self._rest = rest or Rest(settings.shown)
        self._breaker = Breaker(settings.shown, is_there)
        self._quota = Quota(settings.shown)
        self._most_connections = settings.max_connections
        self._turns = Turns(settings.max_connections)
        self.spares = Spares(self._turns, settings.max_connections // 2)
        self.pace = Pace(settings.bandwidth)
        self.blob_bytes = watching.received(settings.name, "blob")
        self.manifest_bytes = watching.received(settings.name, "manifest")

    @property
    def condition(self) -> Condition:
        """How things stand now."""
        return Condition(
            connections=self._turns.taken,
            most_connections=self._most_connections,
            resting=self._rest.left(),
            is_open=self._breaker.is_open,
            allowance=self._quota.allowance,
        )

    def turn(self) -> AbstractContextManager[None]:
        """One of the upstream's connections is the caller's within; raises Unasked."""
        return self._turns.turn()

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Ask within, if that may be now; raises UpstreamError."""
        with watching.kept_back(self._name, "rest"):
            self._rest.check()
        with watching.kept_back(self._name, "breaker"):
            self._breaker.enter()
        exchange = Exchange(self._breaker, self._quota)
        try:
            yield exchange
        except UpstreamError as error:
            exchange.failed(error)
            self.refused(error)
            raise

    def refused(self, error: UpstreamError) -> None:
        """Take in a refusal, of the upstream or its token server, that may ask us to wait."""
        if error.code == "TOOMANYREQUESTS" or (error.retryable and error.retry_after):
            self._rest.begin(error.retry_after)
