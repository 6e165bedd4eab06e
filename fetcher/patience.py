"""How often an upstream is asked again, and how long we wait in between."""

import random
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from common import logs
from common.errors import UpstreamError
from common.metrics.catalogue import TRIES
from fetcher.unasked import Unasked

T = TypeVar("T")

log = logs.get(__name__)

# Seconds: the first pause, and the longest; each doubles the one before.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0

# Tries for what something can be served instead of: whoever waits for it would rather have that
# now than an answer later. The next who asks is the second try.
TRIES_WITH_FALLBACK = 1

# An upstream that wants to be left alone for longer is told to the client, who waits better than
# a slot does.
LONGEST_OBEDIENCE = 10.0

# The same for an upstream that was not even asked: whoever has something else to give gives it.
LONGEST_VAIN_WAIT = 2.0


class Stopping(Exception):
    """The work cannot be finished here: somebody else is to go on with it."""


class Patience:
    """What is left of it for one piece of work."""

    def __init__(self, attempts: int, stopping: Event) -> None:
        """Allow `attempts` tries in all; `stopping` ends every wait."""
        self._attempts = attempts
        self._stopping = stopping
        self._failures = 0

    def ask(self, question: Callable[[], T]) -> T:
        """The answer; raises the last UpstreamError when asking again is no use, or Stopping."""
        while True:
            try:
                return question()
            except UpstreamError as error:
                self.pause(error)

    def pause(self, error: UpstreamError) -> None:
        """Wait before the next try; raises `error` when there is to be none, or Stopping."""
        self._failures += 1
        if not error.retryable or self._failures >= self._attempts:
            raise error
        wanted = error.retry_after or 0.0
        if wanted > (LONGEST_VAIN_WAIT if isinstance(error, Unasked) else LONGEST_OBEDIENCE):
            raise error
        TRIES.of().add()
        seconds = max(wanted, _backoff(self._failures))
        log.info("asking the upstream again", seconds=round(seconds, 3), reason=str(error))
        if self._stopping.wait(seconds):
            raise Stopping

    def renew(self) -> None:
        """The last try brought something: those before it do not count any more."""
        self._failures = 0

    def go_on(self) -> None:
        """Raise Stopping when the process is told to end."""
        if self._stopping.is_set():
            raise Stopping


def _backoff(failures: int) -> float:
    # Half of it is chance: many fetchers that failed together shall not come back together.
    full = min(FIRST_PAUSE * 2.0 ** (failures - 1), LONGEST_PAUSE)
    return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, protects nothing
