"""How much of a process may wait for what is not here: all of it together, and one client's share.

Three bounds, each per worker process:

    places          requests that wait, of all clients; past it: Crowded, a 503 with Retry-After.
                    Fewer than connections, so that hits are always answered. One client may take
                    half of them.
    jobs            of one client under way for one upstream: by default as many as the fetchers of
                    one machine have slots. The rest of its requests wait their turn here, so that
                    another client's job finds a short queue, and its own for another upstream none.
                    A job counts until its outcome is known, also when the client has hung up
                    meanwhile. That one upstream, or one kind of job, does not take all slots is the
                    fetchers' business (fetcher.shares).
    not there       a client whose jobs turn out to be about nothing again and again has few of
                    them under way until that stops. It is slowed down, not refused: others behind
                    its address still get what they ask for.

Refused is with 503, never 429: dockerd takes 429 for final and leaves its mirror.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from common.source import DEFAULT_UPSTREAM
from frontend.callers import Callers
from frontend.errors import Crowded

# Refusals (404 and the like) a client may cause at once, and per second from then on, before it
# gets only so many jobs under way. Tools that look for signatures ask for things that are not
# there too, a few for each image.
MISSING_BURST = 100.0
MISSING_PER_SECOND = 5.0
NARROW = 4

# Clients remembered; beyond it those are forgotten of whom nothing waits.
_MOST_CLIENTS = 4096


class _Client:
    """What one client has here."""

    def __init__(self, most_jobs: int, clock: Callable[[], float]) -> None:
        self.places = 0
        # By upstream, like the lines of those who wait.
        self._jobs: Counter[str] = Counter()
        self._lines: defaultdict[str, deque[asyncio.Future[Turn]]] = defaultdict(deque)
        self._most_jobs = most_jobs
        self._clock = clock
        self._missed, self._missed_at = 0.0, clock()

    @property
    def is_idle(self) -> bool:
        return not (self.places or self._jobs.total())

    def stand_in_line(self, upstream: str) -> "asyncio.Future[Turn]":
        turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._lines[upstream].append(turn)
        self._grant(upstream)
        return turn

    def end(self, upstream: str, *, missing: bool) -> None:
        """One of its jobs is over."""
        self._jobs[upstream] -= 1
        if missing:
            self._missed = self._missed_now() + 1
            self._missed_at = self._clock()
        self._grant(upstream)

    def _grant(self, upstream: str) -> None:
        line = self._lines[upstream]
        while line and self._jobs[upstream] < self._width():
            waiting = line.popleft()
            if not waiting.done():
                self._jobs[upstream] += 1
                waiting.set_result(Turn(self, upstream))

    def _width(self) -> float:
        if not self._most_jobs:
            return float("inf")
        if self._missed and self._missed_now() >= MISSING_BURST:
            return min(NARROW, self._most_jobs)
        return self._most_jobs

    def _missed_now(self) -> float:
        passed = self._clock() - self._missed_at
        return max(0.0, self._missed - passed * MISSING_PER_SECOND)


class Turn:
    """The right to one job; whoever has it ends it."""

    def __init__(self, client: _Client, upstream: str) -> None:
        self._client: _Client | None = client
        self._upstream = upstream

    def end(self, *, missing: bool = False) -> None:
        """The job is over, `missing` when there is no such thing; a second time means nothing."""
        client, self._client = self._client, None
        if client is not None:
            client.end(self._upstream, missing=missing)


class Place:
    """A request's place among those that wait, in `with`."""

    def __init__(self, limits: "Limits", client: _Client, upstream: str) -> None:
        self._limits = limits
        self._client = client
        self._upstream = upstream
        self._waiting: asyncio.Future[Turn] | None = None

    def turn(self) -> Turn | None:
        """The turn, once it has come: it is the caller's then. The first call gets in line."""
        if self._waiting is None:
            self._waiting = self._client.stand_in_line(self._upstream)
        if not self._waiting.done():
            return None
        turn, self._waiting = self._waiting.result(), None
        return turn

    async def news(self, within: float) -> None:
        """Wait until the turn has come, or `within` seconds are over."""
        if self._waiting is not None:
            await asyncio.wait({self._waiting}, timeout=within)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._waiting is not None and not self._waiting.cancel():
            # Granted, and not wanted any more.
            self._waiting.result().end()
        self._limits.leave(self._client)


class Limits:
    """The bounds of one process."""

    def __init__(
        self,
        callers: Callers,
        *,
        places: int = 1500,
        jobs_per_client: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`jobs_per_client` 0: any number."""
        self._callers = callers
        self._places = self._free = places
        self._share = max(1, places // 2)
        self._jobs_per_client = jobs_per_client
        self._clock = clock
        self._clients: dict[str, _Client] = {}

    @property
    def waiting(self) -> int:
        """How many places are taken."""
        return self._places - self._free

    def place(self, upstream: str = DEFAULT_UPSTREAM) -> Place:
        """A place for the current request, which is for something of `upstream`; raises Crowded."""
        if self._free <= 0:
            raise Crowded("too many requests wait here already")
        client = self._client(self._callers.current())
        if client.places >= self._share:
            raise Crowded("too many requests of this client wait already")
        self._free -= 1
        client.places += 1
        return Place(self, client, upstream)

    def leave(self, client: _Client) -> None:
        """A place is free again; `Place` says so."""
        client.places -= 1
        self._free += 1

    def _client(self, name: str) -> _Client:
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS:
                self._clients = {
                    known: other for known, other in self._clients.items() if not other.is_idle
                }
            client = self._clients[name] = _Client(self._jobs_per_client, self._clock)
        return client
