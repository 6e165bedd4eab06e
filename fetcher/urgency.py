"""Whether somebody waits for what the current thread does: those go first where upstreams are shared.

A job is done by one thread from its delivery to its end, so that is kept beside the thread and
not handed through everything that a job calls. Threads that do a part of it run in a copy of its
context, and share what they see.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class _Work:
    """A piece of work."""

    is_urgent: bool


_WORK: ContextVar[_Work | None] = ContextVar("work", default=None)


@contextmanager
def urgency(*, urgent: bool) -> Iterator[None]:
    """What is done within has somebody waiting for it, or not."""
    token = _WORK.set(_Work(urgent))
    try:
        yield
    finally:
        _WORK.reset(token)


def is_urgent() -> bool:
    """Whether somebody waits; so it is where nobody said otherwise."""
    work = _WORK.get()
    return work is None or work.is_urgent


def somebody_waits() -> None:
    """Somebody does from now on."""
    if (work := _WORK.get()) is not None:
        work.is_urgent = True
