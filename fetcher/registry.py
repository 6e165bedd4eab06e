"""Authenticated requests about one repository of one upstream."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from http import HTTPStatus

import requests

from common import tracing
from common.errors import UpstreamError
from common.reference import RepositoryName
from fetcher import watching
from fetcher.answers import Asked, refusal
from fetcher.authentication import Authentication
from fetcher.bodies import discard
from fetcher.credentials import credentials_of
from fetcher.manners import Exchange, Manners
from fetcher.redirects import Answer, follow
from fetcher.rest import Rest
from fetcher.settings import UpstreamSettings
from fetcher.throughput import Floor
from fetcher.transport import Transport
from fetcher.unasked import Unasked

_UNAUTHORIZED = 401


class Registry:
    """The requests all of the upstream's operations are made of; thread-safe."""

    def __init__(self, settings: UpstreamSettings, rest: Rest | None = None) -> None:
        """As Upstream."""
        self._settings = settings
        # Two, as what a redirect may lead to is not what may be sent credentials, and no
        # connection made for one is to serve the other.
        self._transport = Transport(settings, settings.redirecthosts)
        self._to_realms = Transport(settings, settings.realmhosts)
        self._authentication = Authentication(
            settings, self._to_realms, credentials_of(settings), self.new_floor
        )
        self._base = settings.remoteurl.rstrip("/")
        self.manners = Manners(settings, self._is_there, rest)

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()
        self._to_realms.close()

    def new_floor(self) -> Floor:
        """The throughput floor for one transfer."""
        return Floor(self._settings.min_throughput, self._settings.throughput_window)

    def _is_there(self) -> bool:
        """Whether it answers at all: the registry at its base (OCI distribution-spec, "end-1").

        And its token server, where it has one, without which there is no way in. Both are asked
        beside the turns, which may all be held by what hangs, and by nobody: 401 is an answer.
        """
        try:
            with watching.asking(self._settings.name):
                answer = self._transport.send("GET", f"{self._base}/v2/", {})
            answer.close()
            return (
                answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
                and self._authentication.is_there()
            )
        except UpstreamError as error:
            # What is not retryable is no outage: a certificate, an answer out of all reason.
            return not error.retryable

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Have errors raised within say which upstream they are about."""
        try:
            yield
        except Unasked as error:
            raise Unasked(self._named(error), error.retry_after or 0.0) from error
        except UpstreamError as error:
            raise UpstreamError(
                self._named(error),
                status=error.status,
                code=error.code,
                retryable=error.retryable,
                retry_after=error.retry_after,
            ) from error

    def _named(self, error: UpstreamError) -> str:
        return f"upstream {self._settings.shown}: {error}"

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Have one of the upstream's connections within; errors as in `naming`."""
        with self.naming(), self.manners.turn():
            yield

    def url(self, repository: RepositoryName, rest: str) -> str:
        """The URL of something in `repository` (OCI distribution-spec, "Endpoints")."""
        return f"{self._base}/v2/{repository}/{rest}"

    def ask(
        self, method: str, url: str, repository: RepositoryName, headers: dict[str, str]
    ) -> Answer:
        """The answer, redirects followed and challenges met; raises UpstreamError.

        Whatever the status: it is the caller's to read, and to close.
        """
        with self.manners.exchange() as exchange:
            return self._ask(method, url, repository, headers, exchange)

    def revisit(self, url: str, headers: dict[str, str]) -> Answer:
        """The answer to a GET of where a redirect led before, away from the registry.

        Without its account, as then. Raises UpstreamError.
        """
        first = self._transport.send("GET", url, headers)
        answer = follow(self._transport, first, "GET", url, headers, self.new_floor())
        return replace(answer, away=True)

    def _ask(
        self,
        method: str,
        url: str,
        repository: RepositoryName,
        headers: dict[str, str],
        exchange: Exchange,
    ) -> Answer:
        authorization = self._authentication.header(repository)
        answer = self._send(method, url, headers, authorization, exchange)
        if answer.response.status_code != _UNAUTHORIZED or answer.away:
            return answer
        # Only the registry's own 401 is met; a redirect's target gets nothing from us.
        challenges = answer.response.headers.get("WWW-Authenticate", "")
        try:
            authorization = self._authentication.answer(challenges, repository, authorization)
        except UpstreamError:
            answer.response.close()
            raise
        if not authorization:
            return answer
        discard(answer.response, self.new_floor())
        return self._send(method, url, headers, authorization, exchange)

    def refuse(self, answer: Answer, asked: Asked) -> UpstreamError:
        """The error that `answer` amounts to; the answer is closed."""
        floor = self.new_floor()
        try:
            error = refusal(answer.response, asked, away=answer.away, floor=floor)
        finally:
            discard(answer.response, floor)
        if not answer.away:  # what storage wants is not the registry's wish
            self.manners.refused(error)
        return error

    def _asking(self, method: str) -> AbstractContextManager[dict[str, str]]:
        return tracing.asking(
            f"{method} upstream",
            {"http.request.method": method, "entrepot.upstream": self._settings.shown},
        )

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        authorization: str | None,
        exchange: Exchange,
    ) -> Answer:
        if authorization:
            headers = {**headers, "Authorization": authorization}
        began = time.monotonic()
        with watching.asking(self._settings.name), self._asking(method) as traced:
            # The registry's own address alone is told of our client's trace.
            first: requests.Response = self._transport.send(method, url, {**headers, **traced})
        watching.answered(self._settings.name, first.status_code, time.monotonic() - began)
        exchange.heard(first)
        return follow(self._transport, first, method, url, headers, self.new_floor())
