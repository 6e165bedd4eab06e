"""`entrepot queue`: what waits, and the dead letters."""

import json
from dataclasses import asdict, dataclass

from common.broker import Broker
from common.broker.letters import DeadLetter
from common.config import Config
from common.insight import queue as insight
from entrepot.asking import agrees, queue_of
from entrepot.failure import Failure, Misused
from entrepot.tables import ago, table


@dataclass(frozen=True, slots=True)
class Choice:
    """Dead letters by id, or all of them."""

    ids: tuple[str, ...]
    is_all: bool

    def checked(self) -> tuple[str, ...] | None:
        """The ids, None for all; raises Misused unless it is one of the two."""
        if bool(self.ids) == self.is_all:
            raise Misused(
                "expected the ID of a dead letter, or --all", "`entrepot queue` lists them"
            )
        return None if self.is_all else self.ids


def show(config: Config, limit: int, *, as_json: bool) -> int:
    """Depths and dead letters; 0. Raises BrokerUnavailable."""
    with queue_of(config) as broker:
        facts = insight.queue(broker)
        letters = broker.dead_letters(limit) if facts.dead else []
    if as_json:
        shown = {**asdict(facts), "letters": [asdict(letter) for letter in letters]}
        print(json.dumps(shown))
        return 0
    print(table([("QUEUE", "WAITING"), *((name, str(n)) for name, n in facts.depths.items())]))
    print(f"dead letters: {facts.dead}")
    if letters:
        head = ("ID", "DIED", "QUEUE", "TRIES", "WHAT", "WHY")
        print(table([head, *(_row(letter) for letter in letters)]))
    return 0


def _row(letter: DeadLetter) -> tuple[str, ...]:
    what = letter.key or "(nothing that can be read)"
    return (
        letter.id,
        ago(letter.died),
        letter.queue,
        str(letter.attempts),
        what,
        _printable(letter.reason),
    )


def _printable(text: str) -> str:
    """On one line, and nothing that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def retry(config: Config, choice: Choice) -> int:
    """Have dead letters tried again; 0. Raises Failure where there are none of these."""
    ids = choice.checked()
    with queue_of(config) as broker:
        count = broker.retry_dead(ids)
    return _tell(count, ids, "queued again")


def drop(config: Config, choice: Choice, *, yes: bool) -> int:
    """Throw dead letters away; 0, or 1 when it was not agreed to."""
    ids = choice.checked()
    with queue_of(config) as broker:
        if not yes and not _agrees(broker, ids):
            print("nothing was dropped")
            return 1
        count = broker.drop_dead(ids)
    return _tell(count, ids, "dropped")


def _agrees(broker: Broker, ids: tuple[str, ...] | None) -> bool:
    count = broker.dead() if ids is None else len(ids)
    return agrees(f"Drop {count} dead letters for good?")


def _tell(count: int, ids: tuple[str, ...] | None, outcome: str) -> int:
    if ids is not None and count < len(ids):
        raise Failure(
            f"{count} of {len(ids)} dead letters {outcome}",
            "`entrepot queue` lists those that there are",
        )
    print(f"{count} dead letters {outcome}")
    return 0
