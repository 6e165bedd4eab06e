"""Exchanges and queues, and why each has the arguments it has.

Valid from 3.10 to 4.3. Left alone because a version refuses or lacks them: transient queues that
are not exclusive and global QoS (denied by default since 4.3), `x-queue-mode` and mirroring (gone
since 4.x), priorities on quorum queues (none in 3.10, fuzzy in 4.0), per-message TTL (expires at
the head of a queue only), delayed retry inside a queue (4.3 alone).
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from common.broker import MAX_ATTEMPTS
from common.broker.rabbitmq.ladder import STEPS, Step
from common.messages import Queue

# pika publishes no type information.
Channel: TypeAlias = Any

JOBS = "entrepot.jobs.v1"
DEAD = "entrepot.dead.v1"
EVENTS = "entrepot.events.v1"

_DAY_MS = 24 * 3600 * 1000

# Attempts are counted by the consumers, who dead-letter with a reason. This is for a message that
# kills its consumer before that can happen. 4.x has the same limit by default, 3.10 none.
_DELIVERY_LIMIT = MAX_ATTEMPTS + 12

# A full queue refuses publications (the publisher hears a nack) rather than drop old ones.
_LONGEST = {Queue.INTERACTIVE: 100_000, Queue.PREFETCH: 1_000_000, Queue.EXPIRY: 10_000_000}


def queue_name(queue: Queue) -> str:
    """The work queue's name."""
    return f"entrepot.{queue.value}.v1"


def wait_name(step: Step) -> str:
    """Of a step's exchange, and of its queue."""
    return f"entrepot.wait.{step.name}.v1"


def declare(channel: Channel, on_done: Callable[[], None]) -> None:
    """Declare everything durable; `on_done` is called when the last of it is there.

    What the broker refuses closes the channel. pika sends one declaration after the other.
    """
    for exchange, kind in _exchanges():
        channel.exchange_declare(exchange, kind, durable=True)
    for queue, arguments in _queues():
        channel.queue_declare(queue, durable=True, arguments=arguments)
    *bindings, (queue, exchange, key) = _bindings()
    for bound_queue, bound_exchange, bound_key in bindings:
        channel.queue_bind(bound_queue, bound_exchange, bound_key)
    channel.queue_bind(queue, exchange, key, callback=lambda _: on_done())


def event_queue_arguments() -> dict[str, Any]:
    """Of a subscriber's own queue: hints that nobody reads are not worth keeping.

    Its type is named, as a virtual host may have another default.
    """
    return {"x-queue-type": "classic", "x-max-length": 10_000, "x-message-ttl": 60_000}


def _exchanges() -> Iterator[tuple[str, str]]:
    yield JOBS, "direct"
    yield DEAD, "fanout"
    yield EVENTS, "fanout"
    for step in STEPS:
        # Fanout, so that a message keeps the routing key that leads it home afterwards.
        yield wait_name(step), "fanout"


def _queues() -> Iterator[tuple[str, dict[str, Any]]]:
    for queue in Queue:
        yield queue_name(queue), _work(queue)
    for step in STEPS:
        yield wait_name(step), _wait(step)
    yield DEAD, _dead()


def _work(queue: Queue) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": _DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD,
        "x-max-length": _LONGEST[queue],
        "x-overflow": "reject-publish",
    }


def _wait(step: Step) -> dict[str, Any]:
    """Classic, not quorum: those are known to expire late and to keep their segments when all
    they do is wait (rabbitmq-server issues 10718 and 14522). What a wait queue loses with its
    node is found again from storage.
    """
    return {
        "x-queue-type": "classic",
        "x-message-ttl": step.ms,
        "x-dead-letter-exchange": JOBS,
    }


def _dead() -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-max-length": 10_000,
        "x-overflow": "drop-head",
        "x-message-ttl": 14 * _DAY_MS,
    }


def _bindings() -> Iterator[tuple[str, str, str]]:
    for queue in Queue:
        yield queue_name(queue), JOBS, queue.value
    for step in STEPS:
        yield wait_name(step), wait_name(step), ""
    yield DEAD, DEAD, ""
