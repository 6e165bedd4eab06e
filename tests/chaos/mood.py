"""An upstream that misbehaves at random, in every way `tests.parts.faults` knows."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace

from tests.chaos.disturbances import Disturbances
from tests.chaos.plan import Plan
from tests.parts.content import Content
from tests.parts.counting import Upstream
from tests.parts.faults import (
    Answer,
    Corrupt,
    Cut,
    Fault,
    IgnoreRange,
    Late,
    Stall,
    Status,
    Throttle,
    WrongContentRange,
)
from tests.parts.serving import Exchange

# The share of failures that ask to be left alone: they speak for the upstream as a whole.
_REST = 0.02

# How often (weight), what it is called, and how it is made.
_Making = Callable[[random.Random], Fault]
_FAULTS: list[tuple[int, str, _Making]] = [
    (4, "cut", lambda rng: Cut(after=rng.randrange(1, 1_000_000))),
    (3, "reset", lambda rng: Cut(after=rng.randrange(1, 1_000_000), reset=True)),
    (2, "hung up at once", lambda rng: Cut(after=0, reset=rng.random() < 0.5)),
    (4, "corrupt", lambda rng: Corrupt(at=rng.randrange(30_000))),
    (2, "stall", lambda rng: Stall(after=rng.randrange(300_000), seconds=rng.uniform(1, 6))),
    (2, "late", lambda rng: Late(rng.uniform(0.5, 4))),
    (4, "slow", lambda rng: Throttle(rng.uniform(200_000, 800_000))),
    (5, "5xx", lambda rng: Status(rng.choice([500, 502, 503, 504]))),
    (1, "range ignored", lambda _: IgnoreRange()),
    (1, "wrong range", lambda _: WrongContentRange()),
]


class MoodyUpstream(Upstream):
    """An upstream of which `trouble`, a share between 0 and 1, of all answers goes wrong.

    What goes right takes its time all the same, `pace` in bytes a second: a fill that is over in
    a moment is never met in the middle.
    """

    pace = 5_000_000.0

    def __init__(self, content: Content, disturbances: Disturbances, plan: Plan) -> None:
        super().__init__(content=content)
        self.trouble = 0.0
        self._longest_rest = plan.longest_rest
        self._disturbances = disturbances
        self._rng = random.Random(plan.seed)
        self._drawing = threading.Lock()

    def _answer(self, exchange: Exchange, stopping: threading.Event) -> Answer:
        with self._lock:
            self._seen.append(exchange)
        fault = self._draw(exchange.path)
        fault.delay(stopping)
        answer = self._plain_answer(exchange, fault.ask(dict(exchange.headers)))
        answer = fault.answer(answer)
        return replace(answer, body=fault.body(answer.body, stopping))

    def _draw(self, path: str) -> Fault:
        with self._drawing:
            if self._rng.random() >= self.trouble:
                return Throttle(self.pace)
            if self._rng.random() < _REST:
                rest = self._rng.randint(1, self._longest_rest)
                self._disturbances.upstream_failed("429", path, rest=rest)
                return Status(429, retry_after=str(rest))
            weights = [weight for weight, _, _ in _FAULTS]
            _, name, make = self._rng.choices(_FAULTS, weights)[0]
            self._disturbances.upstream_failed(name, path)
            return make(self._rng)
