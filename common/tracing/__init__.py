"""Which trace is worked for, carried from a client's request to the upstream, and told to a
collector where OpenTelemetry is installed (`entrepot[otel]`) and configured (its OTEL_ variables).

Where it is not, nothing is measured: the trace's id is in the logs, and passed on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from common.tracing.context import Trace, parse

__all__ = [
    "Span",
    "Trace",
    "asking",
    "current",
    "current_id",
    "parse",
    "set_up",
    "shut_down",
    "span",
]

Attributes = Mapping[str, str | int]

_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


class Span(Protocol):
    """Something that takes time."""

    @property
    def trace(self) -> Trace:
        """Where it is in its trace."""

    def note(self, attributes: Attributes) -> None:
        """Have more said of it."""

    def fail(self, reason: str) -> None:
        """It ended badly."""

    def end(self) -> None:
        """It is over."""


class Tracer(Protocol):
    """Who is told of spans; `kind` is server, consumer or client."""

    def begin(self, name: str, kind: str, parent: Trace | None, attributes: Attributes) -> Span:
        """A span has begun."""

    def shut_down(self) -> None:
        """Tell what is still to be told, for some seconds at most."""


_tracer: Tracer | None = None


def set_up(role: str) -> bool:
    """Tell of spans from now on, if that is configured; in the process itself, after the last fork.

    Whether that is so.
    """
    global _tracer  # noqa: PLW0603 - one for a process, as logs have
    from common.tracing.exporting import configured  # noqa: PLC0415 - costs memory where it is used

    _tracer = configured(role)
    return _tracer is not None


def shut_down() -> None:
    """Tell what is still to be told, and no more."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.shut_down()


def current() -> Trace | None:
    """What is worked for here."""
    return _CURRENT.get()


def current_id() -> str | None:
    """Its id, for logs."""
    trace = _CURRENT.get()
    return None if trace is None else trace.trace_id


@contextmanager
def span(
    name: str, kind: str, parent: Trace | None, attributes: Attributes
) -> Iterator[Span | None]:
    """Work for `parent` within, or for a trace that begins here; None where nobody is told of it."""
    begun = None if _tracer is None else _tracer.begin(name, kind, parent, attributes)
    token = _CURRENT.set(begun.trace if begun else parent)
    try:
        yield begun
    except BaseException as error:
        if begun:
            begun.fail(type(error).__name__)
        raise
    finally:
        _CURRENT.reset(token)
        if begun:
            begun.end()


@contextmanager
def asking(name: str, attributes: Attributes) -> Iterator[dict[str, str]]:
    """Ask somebody else within, with these headers: traceparent alone, fresh, if there is a trace.

    What vendors and our own machines have put beside it (tracestate, baggage) is not theirs.
    """
    trace = _CURRENT.get()
    if trace is None and _tracer is None:
        yield {}
        return
    with span(name, "client", trace, attributes) as told:
        place = told.trace if told else trace and trace.child()
        yield {"traceparent": place.traceparent} if place else {}
