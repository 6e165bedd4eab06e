"""One trace from the client's request through the message to the upstream's request."""

import json
from pathlib import Path

from common.tracing import parse
from tests.parts.collector import Collector, Span
from tests.parts.counting import Upstream
from tests.system.cluster import ROLES, Cluster
from tests.waiting import until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=secret"}
_SERVER, _CLIENT, _CONSUMER = 2, 3, 5  # opentelemetry-proto, trace.proto: SpanKind


def _pull(running: Cluster, upstream: Upstream) -> None:
    digest = upstream.add_blob("library/app", b"t" * 200_000)
    got = running.get(f"/v2/library/app/blobs/{digest}", headers=HEADERS)
    assert (got.status, got.digest) == (200, digest)


def _told(upstream: Upstream) -> set[str]:
    """The spans that the upstream was told of; of no other trace, and of nothing else."""
    found = set()
    for exchange in upstream.seen("*/blobs/*"):
        trace = parse(exchange.headers["traceparent"])
        assert trace is not None
        assert trace.trace_id == TRACE
        assert "tracestate" not in exchange.headers
        found.add(trace.span_id)
    return found


def test_a_collector_gets_the_whole_trace(
    tmp_path: Path, upstream: Upstream, queue_url: str | None
) -> None:
    running = Cluster(tmp_path, upstream.url, queue_url)
    with Collector() as collector:
        running.env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        running.start(*ROLES)
        try:
            _pull(running, upstream)
            chain = until(lambda: _chain(collector), 30, "the three spans")
        finally:
            running.stop()
    assert chain is not None
    server, consumer, client = chain
    assert [server.kind, consumer.kind, client.kind] == [_SERVER, _CONSUMER, _CLIENT]
    assert server.parent == SPAN
    assert server.state == "vendor=secret"
    assert server.attributes["http.response.status_code"] == 200
    assert consumer.name == "FetchBlob"
    assert client.span_id in _told(upstream)
    assert [server.resource["entrepot.role"], client.resource["entrepot.role"]] == [
        "frontend",
        "fetcher",
    ]


def _chain(collector: Collector) -> tuple[Span, Span, Span] | None:
    """The upstream's request, what its parent is, and what that one's is, the last one first.

    A message that is published again has a span too, from which nothing comes.
    """
    spans = {span.span_id: span for span in collector.spans(TRACE)}
    for client in spans.values():
        consumer = spans.get(client.parent)
        server = spans.get(consumer.parent) if consumer is not None else None
        if consumer is not None and server is not None:
            return server, consumer, client
    return None


def test_without_a_collector_it_is_in_all_logs_and_passed_on(
    tmp_path: Path, upstream: Upstream
) -> None:
    log = {"formatter": "json", "accesslog": {"disabled": False}}
    running = Cluster(tmp_path, upstream.url, None, log=log)
    running.start(*ROLES)
    try:
        _pull(running, upstream)
    finally:
        running.stop()
    assert SPAN not in _told(upstream)
    lines = [json.loads(line) for line in running.logs().splitlines() if line.startswith("{")]
    named = {line["component"] for line in lines if line.get("trace_id") == TRACE}
    assert "access" in named
    assert any(component.startswith("fetcher.") for component in named)


def test_a_collector_that_is_gone_holds_up_neither_pulls_nor_the_end(
    tmp_path: Path, upstream: Upstream
) -> None:
    running = Cluster(tmp_path, upstream.url)
    running.env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    running.start(*ROLES)
    try:
        _pull(running, upstream)
    finally:
        running.stop()  # every process is given 20 s, and must end well
