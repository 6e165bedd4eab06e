"""Asking the upstream, by jobs: for content, and about what changes there.

About tags, and lists of tags and referrers, what was heard before is better than no answer, so it
is given when the upstream cannot be asked. "Not there" is an answer; everything else is the lack
of one.
"""

from http import HTTPStatus
from typing import TypeVar

from common.errors import BrokerUnavailable, UpstreamError
from common.messages import Job
from frontend import counting
from frontend.desk import Desk, Look
from frontend.errors import Crowded, OutOfPatience
from frontend.memory import Refusals

# How long a client waits, in seconds, when there is an older answer to give.
STALE_PATIENCE = 5.0

_T = TypeVar("_T")


class Asking:
    """Asks through one process's desk, and remembers refusals."""

    def __init__(self, desk: Desk, refusals: Refusals, patience: float) -> None:
        """Have clients wait up to `patience` seconds."""
        self._desk = desk
        self._refusals = refusals
        self._patience = patience

    async def fetch(self, job: Job, look: Look[_T]) -> _T:
        """What `look` gives once the job is done; a refusal that is final is remembered.

        Raises as Desk.fulfil.
        """
        self._refusals.raise_for(job.key)
        try:
            return await self._desk.fulfil(job, look, self._patience)
        except UpstreamError as error:
            if not error.retryable:
                self._refusals.note(job.key, error)
            raise

    async def ask(self, job: Job, look: Look[_T], older: _T | None) -> tuple[_T, bool]:
        """What `look` gives once the job is done, else `older`; and whether it is that.

        Raises as Desk.fulfil.
        """
        try:
            # Remembered, so not noted again below: else what is asked for all the time would
            # never be asked of the upstream again.
            self._refusals.raise_for(job.key)
            if older is not None:
                self._refusals.raise_for(_slow(job.key))
        except UpstreamError as error:
            return _older(older, error, job), True
        patience = self._patience if older is None else min(STALE_PATIENCE, self._patience)
        try:
            return await self._desk.fulfil(job, look, patience), False
        except (UpstreamError, BrokerUnavailable, OutOfPatience) as error:
            self._note(job.key, error, waiting_is_pointless=older is not None)
            return _older(older, error, job), True

    def _note(self, key: str, error: Exception, *, waiting_is_pointless: bool) -> None:
        if isinstance(error, UpstreamError):
            self._refusals.note(key, error)
        elif waiting_is_pointless and not isinstance(error, Crowded):
            # Whoever asks next gets the older answer at once. Once that has expired it is no
            # refusal: the upstream has said nothing.
            self._refusals.note(_slow(key), UpstreamError("no answer in time", status=503))


def _slow(key: str) -> str:
    return f"slow:{key}"


def _older(older: _T | None, error: Exception, job: Job) -> _T:
    if older is None or getattr(error, "status", None) == HTTPStatus.NOT_FOUND:
        raise error
    counting.STALE_ANSWERS[job.source.upstream].value += 1
    return older
