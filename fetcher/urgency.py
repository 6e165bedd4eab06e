"""Whether somebody waits for what the current thread does: those go first where upstreams are shared.

A job is done by one thread from its delivery to its end, so that is kept beside the thread and
not handed through everything that a job calls.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_URGENT: ContextVar[bool] = ContextVar("urgent", default=True)


@contextmanager
def urgency(*, urgent: bool) -> Iterator[None]:
    """What is done within has somebody waiting for it, or not."""
    token = _URGENT.set(urgent)
    try:
        yield
    finally:
        _URGENT.reset(token)


def is_urgent() -> bool:
    """Whether somebody waits; so it is where nobody said otherwise."""
    return _URGENT.get()
