"""`entrepot status`: everything at a glance, as far as storage and queue tell."""

import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from common.claims import Claims
from common.config import Config
from common.errors import BrokerUnavailable
from common.insight import queue as queue_insight
from common.insight.fills import FillFacts, fills
from common.insight.processes import ProcessFacts, processes
from common.insight.queue import QueueFacts
from common.insight.upstreams import UpstreamFacts, upstreams
from common.insight.usage import UsageFacts, usage
from common.paths import Layout
from entrepot.asking import queue_of
from entrepot.progress import amount
from entrepot.storage import layout_of
from entrepot.tables import span
from entrepot.terminal import Style, bar

_ROLES = ("frontend", "fetcher", "janitor")
_NO_QUEUE = QueueFacts({}, None)
_CLEAR = "\x1b[H\x1b[2J"
_SHORTEST_PAUSE = 0.2
_BAR = 24
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known."""

    processes: list[ProcessFacts]
    cache: UsageFacts
    queue: QueueFacts
    fills: list[FillFacts]
    upstreams: list[UpstreamFacts]

    @property
    def alive(self) -> Counter[str]:
        """Living processes by role."""
        return Counter(each.role for each in self.processes if each.is_alive)

    def problems(self, *, is_readonly: bool) -> list[str]:
        """What is missing, in words."""
        missing = [] if is_readonly else [role for role in _ROLES if not self.alive[role]]
        found = [f"no {role} is alive" for role in missing]
        if not self.queue.answers:
            found.append("the queue does not answer")
        return found


def gather(config: Config) -> Status:
    """Look at everything once; raises Failure where there is no storage folder."""
    layout = layout_of(config)
    return Status(
        processes(layout),
        usage(layout),
        _queue(config),
        _fills(config, layout),
        upstreams(layout, config.proxy.upstreams),
    )


def _queue(config: Config) -> QueueFacts:
    try:
        with queue_of(config) as broker:
            return queue_insight.queue(broker)
    except BrokerUnavailable:
        return _NO_QUEUE


def _fills(config: Config, layout: Layout) -> list[FillFacts]:
    claims = Claims(layout, config.fetcher.lease)
    try:
        return fills(layout, claims)
    except OSError:  # looking takes a file for a clock, which not everybody may write
        return []
    finally:
        claims.close()


def run(config: Config, *, watch: float | None, as_json: bool) -> int:
    """Show it, again and again with `watch` (seconds); 0 when nothing is missing, else 1.

    Who watches ends it with ^C, at whatever moment: that is no error.
    """
    if watch is None:
        return 1 if _show(config, as_json=as_json, clear=False) else 0
    try:
        while True:
            _show(config, as_json=as_json, clear=sys.stdout.isatty() and not as_json)
            time.sleep(max(watch, _SHORTEST_PAUSE))
    except KeyboardInterrupt:
        return 0


def _show(config: Config, *, as_json: bool, clear: bool) -> list[str]:
    """Show it once; the problems."""
    status = gather(config)
    problems = status.problems(is_readonly=config.maintenance.readonly.enabled)
    shown = json.dumps(_as_json(status, problems)) if as_json else _text(status, problems)
    print(f"{_CLEAR if clear else ''}{shown}", flush=True)
    return problems


def _as_json(status: Status, problems: list[str]) -> dict[str, Any]:
    return {**asdict(status), "alive": dict(status.alive), "problems": problems}


def _text(status: Status, problems: list[str]) -> str:
    style = Style(sys.stdout)
    lines = [_processes(status), _cache(status.cache), _waiting(status.queue)]
    lines += [_rest(upstream) for upstream in status.upstreams if upstream.rests]
    if status.fills:
        lines.append(f"downloads  {len(status.fills)} under way")
        lines += [f"  {_fill(fill)}" for fill in status.fills]
    lines += [style.bad(f"problem    {problem}") for problem in problems]
    return "\n".join(lines)


def _processes(status: Status) -> str:
    alive = status.alive
    told = ", ".join(f"{alive[role]} {role}{'s' * (alive[role] != 1)}" for role in _ROLES)
    hosts = {each.host for each in status.processes if each.is_alive}
    return f"processes  {told}" + (f" on {len(hosts)} machines" if len(hosts) > 1 else "")


def _cache(cache: UsageFacts) -> str:
    about = "about " if cache.is_estimate else ""
    return (
        f"cache      {about}{amount(cache.size)} in {cache.blobs} blobs, {amount(cache.free)} free"
    )


def _waiting(queue: QueueFacts) -> str:
    if not queue.answers:
        return "queue      does not answer"
    told = ", ".join(f"{name} {count}" for name, count in queue.depths.items())
    return f"queue      {told}; {queue.dead} dead letters"


def _rest(upstream: UpstreamFacts) -> str:
    return f"upstream   {upstream.name or 'the default'} wants a rest for {span(upstream.rests)}"


def _fill(fill: FillFacts) -> str:
    known = f" {bar(fill.received / fill.size, _BAR)}" if fill.size else ""
    of = f" of {amount(fill.size)}" if fill.size else ""
    who = fill.repositories[0] if fill.repositories else "asking the upstream"
    more = f" and {len(fill.repositories) - 1} more" if len(fill.repositories) > 1 else ""
    waits = "" if fill.is_held else ", waits for a fetcher"
    return f"{fill.digest.hex[:_SHORT]}{known} {amount(fill.received)}{of}, {who}{more}{waits}"
