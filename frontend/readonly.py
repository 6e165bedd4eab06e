"""`storage.maintenance.readonly`: what is stored is served, and nothing is asked for.

distribution's setting keeps clients from writing while its garbage collection runs. Here it is
the misses that write, so they are what it ends: with a 503, as the content may well exist.
"""

from typing import TypeVar

from common.errors import UpstreamError
from common.messages import FetchBlob, Job
from frontend.desk import Desk, Look
from frontend.tails import Tail, Tails

_T = TypeVar("_T")


class ReadOnlyDesk(Desk):
    """Takes no errands."""

    async def fulfil(self, job: Job, look: Look[_T], patience: float) -> _T:  # noqa: ARG002 - Desk's
        """What is there already; raises UpstreamError (503) where it is not."""
        found = await look(None)
        if found is None:
            raise UpstreamError(
                "read-only for maintenance: only what is stored is served",
                status=503,
                code="UNAVAILABLE",
            )
        return found

    async def remind(self, job: Job) -> None:
        """Nobody works on it."""


class ReadOnlyTails(Tails):
    """Follows nothing, since nothing moves."""

    def find(self, job: FetchBlob) -> Tail | None:  # noqa: ARG002 - Tails'
        """None."""
        return None
