"""The trace that a client's request belongs to, and, where traces are sent, its span."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common import tracing
from common.messages import Job
from common.tracing import Trace
from frontend import request_ids
from frontend.callers import SCOPE


def current() -> Trace | None:
    """The trace of the request that this task answers; None outside of any, or where it has none."""
    trace = tracing.current()
    if trace is None and (scope := SCOPE.get()):
        trace = of(scope)
    return trace


def current_id() -> str | None:
    """Its id, for logs."""
    trace = current()
    return None if trace is None else trace.trace_id


def of(scope: Mapping[str, Any]) -> Trace | None:
    """What the client says that its request belongs to."""
    parents = [value for name, value in scope.get("headers", ()) if name == b"traceparent"]
    if len(parents) != 1:  # two contradict each other
        return None
    states = [value for name, value in scope["headers"] if name == b"tracestate"]
    return tracing.parse(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))


def traced(job: Job) -> Job:
    """The job, with the trace it is done for."""
    trace = current()
    if trace is None:
        return job
    return replace(job, traceparent=trace.traceparent, tracestate=trace.state)


class Traced:
    """The ASGI application `app`, with a span for each request; only where spans are told of."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        attributes = {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "entrepot.request_id": request_ids.of(scope),
        }
        name = f"{scope['method']} {_about(scope['path'])}"
        with tracing.span(name, "server", of(scope), attributes) as span:

            async def watch(message: Any) -> None:
                if span is not None and message["type"] == "http.response.start":
                    status = message["status"]
                    span.note({"http.response.status_code": status})
                    if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6: our failure
                        span.fail(str(status))
                await send(message)

            await self._app(scope, receive, watch)


def _about(path: str) -> str:
    """What kind of thing is asked for: a name with bounds."""
    for part in ("blobs", "manifests", "tags", "referrers"):
        if f"/{part}/" in path:
            return part
    return "registry"
