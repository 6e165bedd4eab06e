"""Spans by OpenTelemetry, sent by OTLP over HTTP.

Configured by OpenTelemetry's own environment variables, of which the SDK reads most by itself
(opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables). Nothing is sent unless
an endpoint is named: the SDK would try one on this machine.
"""

import os
import threading
from typing import TYPE_CHECKING

from common import logs
from common.tracing import Attributes, Span, Tracer
from common.tracing.context import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as TheirSpan

_log = logs.get(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

# Seconds that the end of a process may wait for a collector.
_FLUSH = 3.0


def configured(role: str) -> Tracer | None:
    """What is configured; None: nothing, or not to be had."""
    environ = os.environ
    wanted = any(environ.get(name) for name in _ENDPOINTS)
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if not wanted or disabled or environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    try:
        return _opened(role)
    except ImportError:
        _log.warning("traces are not sent: install entrepot[otel]")
    except Exception as error:  # noqa: BLE001 - of the SDK, about a value of its variables
        _log.warning("traces are not sent", reason=f"{type(error).__name__}: {error}")
    return None


def _opened(role: str) -> Tracer:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    name = os.environ.get("OTEL_SERVICE_NAME") or "entrepot"
    resource = Resource.create({"service.name": name, "entrepot.role": role})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _log.info("traces are sent", service=name)
    return _Exporting(provider)


class _Exporting:
    """A Tracer."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("entrepot")

    def begin(self, name: str, kind: str, parent: Trace | None, attributes: Attributes) -> Span:
        """See Tracer."""
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

        above = Context() if parent is None else set_span_in_context(_remote(parent), Context())
        begun = self._tracer.start_span(
            name, context=above, kind=SpanKind[kind.upper()], attributes=dict(attributes)
        )
        return _Begun(begun)

    def shut_down(self) -> None:
        """See Tracer."""
        # The exporter tries for a minute to reach a collector that is gone.
        telling = threading.Thread(target=self._provider.shutdown, daemon=True)
        telling.start()
        telling.join(_FLUSH)


def _remote(parent: Trace) -> "TheirSpan":
    from opentelemetry.trace import (  # noqa: PLC0415
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        TraceState,
    )

    return NonRecordingSpan(
        SpanContext(
            int(parent.trace_id, 16),
            int(parent.span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(int(parent.flags, 16)),
            trace_state=TraceState.from_header([parent.state]),
        )
    )


class _Begun:
    """A Span."""

    def __init__(self, span: "TheirSpan") -> None:
        self._span = span

    @property
    def trace(self) -> Trace:
        """See Span."""
        context = self._span.get_span_context()
        return Trace(
            f"{context.trace_id:032x}",
            f"{context.span_id:016x}",
            f"{context.trace_flags & 1:02x}",
            context.trace_state.to_header(),
        )

    def note(self, attributes: Attributes) -> None:
        """See Span."""
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        """See Span."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

        self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """See Span."""
        self._span.end()
