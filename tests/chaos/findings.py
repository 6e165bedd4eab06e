"""From what was seen to the lines of the ledger."""

import json
import re
from collections import Counter
from typing import Any

from tests.chaos.audit import Found
from tests.chaos.disturbances import Disturbances
from tests.chaos.fleet import DOWN, Fleet
from tests.chaos.goods import Goods
from tests.chaos.ledger import Ledger
from tests.chaos.mood import MoodyUpstream
from tests.chaos.plan import Plan
from tests.chaos.queues import QueueMode
from tests.chaos.shoppers import Receipts
from tests.chaos.vitals import Vitals

_MB = 1_000_000
# Memory may grow by a quarter and this much: allocators keep what a busy moment needed.
_SLACK_BYTES = 12 * _MB
_SLACK_FILES = 20
_SHOWN = 40

_KILLS = ("kill frontend", "kill worker", "kill fetcher", "kill janitor")


class Findings:
    """Enters into `ledger` what each phase of a run has shown."""

    def __init__(
        self,
        plan: Plan,
        queue: QueueMode,
        goods: Goods,
        upstream: MoodyUpstream,
        fleet: Fleet,
        receipts: Receipts,
        vitals: Vitals,
    ) -> None:
        self.ledger = Ledger()
        self._plan = plan
        self._queue = queue
        self._goods = goods
        self._upstream = upstream
        self._fleet = fleet
        self._receipts = receipts
        self._vitals = vitals

    def drained(self, depths: dict[str, int], dead: int) -> None:
        """The queues, when nobody had pulled for a while."""
        enter = self.ledger.enter
        enter("queues drain to zero", holds=not depths, figures=str(depths or "all empty"))
        enter("no dead letters", holds=dead == 0, figures=str(dead))

    def before_healing(self, found: Found) -> None:
        """Storage as the faults left it."""
        self.ledger.done["links without data when all was quiet"] = len(found.dangling)
        self.ledger.done["links of tags without data when all was quiet"] = len(found.adrift)
        self._verified("every committed blob verifies", found)

    def healed(self, missing: list[str], found: Found) -> None:
        """Storage after everything was pulled once more."""
        tags = sum(len(self._goods.tags(each)) for each in self._goods.repositories)
        self.ledger.enter(
            "everything can be pulled afterwards",
            holds=not missing,
            figures=f"{tags - len(missing)} of {tags} tags",
        )
        self.ledger.details["not to be pulled"] = missing
        self._verified("and then every committed blob verifies", found)
        self.ledger.enter(
            "every link points to data",
            holds=not found.dangling,
            figures=f"{found.links} links, {len(found.dangling)} without;"
            f" {len(found.adrift)} tags' whose manifests were evicted",
        )
        self.ledger.details["links without data"] = found.dangling[:_SHOWN]

    def _verified(self, what: str, found: Found) -> None:
        figures = f"{found.blobs} blobs, {found.bytes / _MB:.1f} MB, {len(found.damaged)} damaged"
        self.ledger.enter(what, holds=not found.damaged, figures=figures)
        if found.damaged:
            self.ledger.details["damaged"] = found.damaged[:_SHOWN]

    def within_limit(self, size: int, over: list[bool], largest: int) -> None:
        """Storage and `janitor.maxsize`: at rest, and while janitors were killed all the time."""
        limit = self._goods.room
        self.ledger.enter(
            "at rest storage is within its size limit",
            holds=size <= limit,
            figures=f"{size / _MB:.1f} of {limit / _MB:.1f} MB; before, {largest / _MB:.1f} MB at most,"
            f" above the limit in {sum(over)} of {len(over)} samples",
        )

    def left_over(self, leftovers: list[str]) -> None:
        """What the killed left lying about, within its bound."""
        self.ledger.done["files left by the killed, when all was quiet"] = len(leftovers)
        self.ledger.details["left by the killed"] = leftovers[:_SHOWN]

    def expired(self, aged: int, remains: dict[str, int], overdue: list[str]) -> None:
        """Storage a life later, and the leftovers a day later."""
        self.ledger.enter(
            "a life later nothing is left", holds=not remains, figures=str(remains or "nothing")
        )
        self.ledger.enter(
            "no spool, claim, member, temporary file or empty folder is older than its bound",
            holds=not overdue,
            figures=f"{aged} made a day older, {len(overdue)} still there after a sweep",
        )
        self.ledger.details["overdue"] = overdue[:_SHOWN]

    def ended(self, seconds: float) -> None:
        """Every process, after SIGTERM to all."""
        members = self._fleet.members
        surprises = {each.name: each.surprises for each in members if each.surprises}
        lasting = [each.name for each in members if each.state != DOWN]
        behind = [each.name for each in members if each.survivors()]
        self.ledger.enter(
            "all processes end with 0 on SIGTERM, none by itself, none leaves others behind",
            holds=not (surprises or lasting or behind),
            figures=f"{len(members)} processes in {seconds:.1f} s; exit codes {surprises or 'all 0'}"
            f", still there {lasting or 'none'}, left behind {behind or 'none'}",
        )

    def of_the_run(self, disturbances: Disturbances) -> None:
        """What the clients got, what it cost, and what was done for it."""
        self._of_clients()
        self._of_vitals()
        self._of_logs()
        self._tell(disturbances)

    def _of_clients(self) -> None:
        receipts, enter = self._receipts, self.ledger.enter
        counts = receipts.counts
        unexplained = receipts.unexplained()
        refused = [each for each in unexplained if each.what == "refused"]
        cut = [each for each in unexplained if each.what in ("cut", "hung")]
        judged = counts["blobs"] + counts["ranges of blobs"] + counts["manifests by tag"]
        enter(
            "every completed body is right, and no answer but 502, 503 and 504 is wrong",
            holds=not receipts.wrong,
            figures=f"{judged:,} judged, {len(receipts.wrong)} wrong",
        )
        enter(
            "502, 503 and 504 only where something permitted explains them",
            holds=not refused,
            figures=f"{counts['refused']:,}, of which {len(refused)} unexplained",
        )
        enter(
            "so for answers that were cut short, and none hangs",
            holds=not cut and not counts["hung"],
            figures=f"{counts['cut']:,} cut, {counts['hung']} hung, {len(cut)} unexplained",
        )
        self.ledger.details["unexplained"] = [receipts.shown(each) for each in unexplained][:_SHOWN]

    def _of_vitals(self) -> None:
        grown, files = {}, {}
        flat = True
        for name in self._vitals.samples:
            early, late = self._vitals.growth(name)
            usual, most, last = self._vitals.files(name)
            flat = flat and late <= early * 1.25 + _SLACK_BYTES
            flat = flat and last <= usual + _SLACK_FILES
            grown[name] = f"{early / _MB:.0f} → {late / _MB:.0f} MB"
            files[name] = f"{usual} → {last} (at most {most})"
            self.ledger.courses[name] = self._vitals.course(name)
        self.ledger.enter("memory and open files are flat", holds=flat, figures=f"{grown}; {files}")

    def _of_logs(self) -> None:
        errors: Counter[str] = Counter()
        for log in sorted(self._fleet.folder.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines():
                event = _error(line)
                if event is not None:
                    errors[f"{log.stem.rstrip('0123456789')}: {event}"] += 1
        self.ledger.done["errors in the logs"] = dict(errors)

    def _tell(self, disturbances: Disturbances) -> None:
        fleet, receipts = self._fleet, self._receipts
        sent, size = self._upstream.sent(), self._goods.size
        kills = sum(fleet.counts[deed] for deed in _KILLS)
        causes = Counter(str(each.cause) for each in receipts.failures)
        self.ledger.done = {
            "plan": str(self._plan),
            "content": f"{len(self._goods.bytes)} blobs, {size / _MB:.1f} MB",
            "clients got": dict(receipts.counts),
            "bytes to clients": receipts.bytes,
            "slowest right answer": f"{receipts.slowest:.1f} s",
            "failures put down to": dict(causes),
            "kills": kills,
            "deeds": dict(fleet.counts),
            "lives of processes": sum(each.lives for each in fleet.members),
            "queue": dict(self._queue.counts),
            "faults of the upstream": dict(disturbances.counts),
            "requests to the upstream": len(self._upstream.seen()),
            "bytes from the upstream": sent,
            "upstream bytes over content": round(sent / size, 2),
            "client bytes over upstream bytes": round(receipts.bytes / max(1, sent), 2),
            **self.ledger.done,
        }


def _error(line: str) -> str | None:
    """The event of a line that tells of an error; lines that are no log of ours are one."""
    try:
        told: Any = json.loads(line)
    except ValueError:
        return "Traceback" if line.startswith("Traceback") else None
    if not isinstance(told, dict) or told.get("level") not in ("error", "critical"):
        return None
    return re.sub(r"\d+", "…", str(told.get("event")))[:120]
