"""The parts that keep the size limit, put together: what they are and who wakes whom.

An event of the queue wakes the limit, which makes room by candidates; when these run out it wakes
the survey, which finds new ones and wakes the limit.
"""

import threading
from dataclasses import dataclass

from common.blobstore import FileBlobStore
from common.broker import Broker
from common.claims import Claims
from common.filesystem import is_local
from common.links import Links
from common.messages import Event
from common.paths import Layout
from common.tags import Tags
from janitor.adoption import Adoption
from janitor.arrivals import Arrivals
from janitor.candidates import Candidates
from janitor.eviction import Eviction
from janitor.limit import Limits, SizeLimit
from janitor.periodic import Periodic
from janitor.ranking import Ranking
from janitor.survey import Survey
from janitor.trash import Trash
from janitor.usage import Usage
from janitor.uses import Uses
from janitor.vacuum import Vacuum

# Seconds. What was used only just counts as in flight: a client may have been told of it, and be
# about to open it. Machines that share a file system see what others did some seconds late.
_JUST_USED = 0.5
_JUST_USED_ELSEWHERE = 5.0

# Seconds between two looks at the limit: fills wait for it with their commit.
_SHORTEST_PAUSE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Keeps one storage folder within `limits`, with a janitor's other parts."""

    limits: Limits
    layout: Layout
    claims: Claims
    links: Links
    tags: Tags
    blobs: FileBlobStore
    adoption: Adoption
    usage: Usage
    vacuum: Vacuum
    trash: Trash

    def attach(self, broker: Broker, stop: threading.Event) -> list[Periodic]:
        """The work to be started; `broker`'s events wake it."""
        on_one_machine = is_local(self.layout.root)
        ranking = Ranking()
        eviction = Eviction(
            self.layout,
            self.links,
            self.tags,
            self.blobs,
            self.claims,
            self.vacuum,
            ranking,
            just_used=_JUST_USED if on_one_machine else _JUST_USED_ELSEWHERE,
        )
        uses = Uses(self.links, self.tags, self.claims.now)
        candidates = Candidates(self.layout, uses, self.tags, self.blobs)
        survey = Survey(self.usage, candidates, ranking, stop)
        arrivals = Arrivals(self.usage, ranking, self.links, self.tags, self.blobs)
        limit = SizeLimit(
            self.layout,
            self.limits,
            self.usage,
            arrivals,
            ranking,
            eviction,
            self.trash,
            self.claims,
            is_adopted=self.adoption.is_complete,
            is_local=on_one_machine,
        )
        surveying = Periodic("survey", survey, stop)
        limiting = Periodic("size limit", limit, stop, shortest=_SHORTEST_PAUSE, on_end=limit.close)
        limit.on_shortage = surveying.hurry
        survey.on_end = limiting.hurry
        survey.is_needed = limit.holds

        def hear(event: Event) -> None:
            arrivals.hear(event)
            limiting.hurry()

        broker.subscribe(hear, on_gap=surveying.hurry)
        return [surveying, limiting, Periodic("limit's heartbeat", limit.beat, stop)]
