"""Which trace is worked for: what headers say, what is passed on, what a collector is told."""

import pytest

from common import tracing
from common.digest import Digest
from common.messages import FetchBlob, decode_message, encode
from common.reference import RepositoryName
from common.source import Source
from common.tracing import parse
from tests.parts.collector import Collector
from tests.waiting import until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def test_what_is_valid_is_taken_as_it_is() -> None:
    trace = parse(GIVEN, "vendor=1")
    assert trace is not None
    assert (trace.trace_id, trace.span_id, trace.state) == (TRACE, SPAN, "vendor=1")
    assert trace.traceparent == GIVEN


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\r\nX: y",
        f" {GIVEN}",
        f"{GIVEN}\n",
    ],
)
def test_what_is_not_valid_is_nothing(header: str) -> None:
    assert parse(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    trace = parse(f"cc-{TRACE}-{SPAN}-ff-what-the-future-holds")
    assert trace is not None
    assert trace.traceparent == GIVEN


@pytest.mark.parametrize("state", ["x" * 513, "a=\x00", "a=ü"])
def test_a_state_that_is_too_long_or_no_text_is_left_out(state: str) -> None:
    trace = parse(GIVEN, state)
    assert trace is not None
    assert trace.state == ""


def test_a_job_carries_it_and_an_older_one_none() -> None:
    source = Source("", RepositoryName("library/app"))
    job = FetchBlob(source=source, digest=Digest.of(b"x"), traceparent=GIVEN, tracestate="v=1")
    assert decode_message(encode(job)) == job
    before = encode(job).replace(f',"traceparent":"{GIVEN}","tracestate":"v=1"'.encode(), b"")
    assert decode_message(before) == FetchBlob(source=source, digest=job.digest)


def test_nonsense_in_a_job_is_no_trace_and_the_job_is_done() -> None:
    source = Source("", RepositoryName("library/app"))
    job = FetchBlob(source=source, digest=Digest.of(b"x"), traceparent="nonsense")
    decoded = decode_message(encode(job))
    assert isinstance(decoded, FetchBlob)
    assert decoded.traceparent == ""


def test_an_upstream_is_told_a_place_of_its_own_in_the_trace_and_nothing_else() -> None:
    with tracing.span("job", "consumer", parse(GIVEN, "secret=1"), {}):
        assert tracing.current_id() == TRACE
        with tracing.asking("GET upstream", {}) as headers:
            told = parse(headers["traceparent"])
    assert list(headers) == ["traceparent"]
    assert told is not None
    assert told.trace_id == TRACE
    assert told.span_id != SPAN
    assert tracing.current_id() is None


def test_where_there_is_no_trace_the_upstream_is_told_of_none() -> None:
    with tracing.asking("GET upstream", {}) as headers:
        assert headers == {}


def test_nothing_is_set_up_where_nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert not tracing.set_up("fetcher")


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")]
)
def test_what_is_switched_off_stays_off(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)
    assert not tracing.set_up("fetcher")


def test_without_the_extra_it_is_said_once_and_work_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    assert not tracing.set_up("fetcher")


_TOLD: list[str] = []


def _failing_job() -> None:
    """Asks an upstream, whom it tells of the last of _TOLD, and fails."""
    with tracing.span("job", "consumer", parse(GIVEN, "vendor=1"), {"a": 1}):
        with tracing.asking("GET upstream", {}) as headers:
            _TOLD.append(headers["traceparent"].split("-")[2])
        _ = 1 / 0


def test_a_collector_is_told_of_spans_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        assert tracing.set_up("fetcher")
        with pytest.raises(ZeroDivisionError):
            _failing_job()
        tracing.shut_down()
        until(lambda: len(collector.spans(TRACE)) == 2)
    job, asked = sorted(collector.spans(TRACE), key=lambda span: span.name != "job")
    assert (job.parent, job.state, job.failed, job.attributes) == (SPAN, "vendor=1", True, {"a": 1})
    assert job.resource["service.name"] == "entrepot"
    assert job.resource["entrepot.role"] == "fetcher"
    assert asked.parent == job.span_id
    assert asked.span_id == _TOLD[-1]
