"""Real senders against a real receiver: OpenTelemetry's SDK and our own core, over HTTP and gRPC, into a real store."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.serving import make_server

from ai_dev_squad import Usage, configure_logging, configure_tracing, feedback, flush
from ai_dev_squad.kinds import AGENT, CHAT, TOOL, ModelRequest
from ai_dev_squad.operations import start
from ai_dev_squad.running import running
from ai_dev_squad_dashboard.ingest import otlp
from ai_dev_squad_dashboard.ingest.counting import Counting
from ai_dev_squad_dashboard.ingest.journal import JournalTail
from ai_dev_squad_dashboard.ingest.otlp_grpc import GrpcUnavailable, start_grpc_server
from ai_dev_squad_dashboard.ingest.queue import Busy, IngestQueue
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import Selection, open_memory_store
from ai_dev_squad_dashboard.store.base import Store
from ai_dev_squad_dashboard.store.rows import SpanRow

EVER = Selection(start_us=0, end_us=1 << 60)


@dataclass
class Receiver:
    url: str
    store: Store
    queue: IngestQueue
    counting: Counting

    def spans(self) -> list[SpanRow]:
        """Every stored span, by start."""
        traces = [self.store.trace(row.trace_id) for row in self.store.traces(EVER).rows]
        return sorted((span for trace in traces if trace for span in trace.spans), key=lambda span: span.start_us)

    def details(self, span: SpanRow) -> dict[str, Any]:
        found = self.store.span(span.trace_id, span.span_id)
        assert found is not None
        return json.loads(found[0].details or b"{}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=10_000)
    app = Flask(__name__)
    into = otlp.receiver(queue.submit)
    app.register_blueprint(otlp.create_blueprint(queue.submit, DashboardSettings(), into))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Receiver(f"http://127.0.0.1:{server.server_port}", store, queue, into.counting)
    server.shutdown()
    thread.join()
    server.server_close()
    queue.close()
    store.close()


RESOURCE = Resource({"service.name": "shop", "service.version": "2"})


@pytest.mark.parametrize("compression", list(Compression), ids=str)
def test_spans_of_the_sdk_arrive_whole(receiver: Receiver, compression: Compression):
    """Ids, times, attributes of all types, events, links, errors and the resource are stored as the SDK sent them."""
    exporter = OTLPSpanExporter(f"{receiver.url}/v1/traces", compression=compression)
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("my.tracer")
    start_ns = 1_767_225_600_000_000_000
    root = tracer.start_span("root", start_time=start_ns, attributes={"a": [1, 2], "b": 0.5, "c": True})
    root.add_event("note", {"x": 1}, timestamp=start_ns + 1000)
    root.record_exception(ValueError("bad"), timestamp=start_ns + 2000)
    root.end(start_ns + 3_000_000)
    provider.shutdown()

    (span,) = receiver.spans()
    details = receiver.details(span)
    context = root.get_span_context()
    assert (span.trace_id, span.span_id) == (format(context.trace_id, "032x"), format(context.span_id, "016x"))
    assert (span.start_us, span.duration_us) == (start_ns // 1000, 3000)
    assert (span.name, span.operation, span.service, span.instrumentation) == ("root", "other", "shop", "my.tracer")
    assert details["attributes"] == {"a": [1, 2], "b": 0.5, "c": True}
    assert [(event["name"], event["time_us"] - span.start_us) for event in details["events"]] == [
        ("note", 1),
        ("exception", 2),
    ]
    assert "ValueError: bad" in details["stacktrace"]
    assert details["resource"] == {"service.name": "shop", "service.version": "2"}


def test_spans_that_are_sent_twice_are_stored_once(receiver: Receiver):
    """A sender that did not hear the answer sends again; the second time changes nothing."""
    provider = TracerProvider(resource=RESOURCE)
    for _ in range(2):
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{receiver.url}/v1/traces")))
    provider.get_tracer("t").start_span("once").end()
    provider.shutdown()

    state = receiver.queue.state()
    assert (state.written_spans, state.duplicates) == (1, 1)


def test_logs_and_metrics_of_the_sdk_arrive(receiver: Receiver):
    """A log record is a line of the log with its level and trace; a metric is listed with its last value."""
    logs = LoggerProvider(resource=RESOURCE)
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{receiver.url}/v1/logs")))
    logs.get_logger("my.logger").emit(
        severity_number=None,
        body="something happened",
        event_name="shop.sold",
        attributes={"gen_ai.agent.name": "seller"},
    )
    logs.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{receiver.url}/v1/metrics"), 60_000)
    metrics = MeterProvider([reader], RESOURCE)
    metrics.get_meter("m").create_counter("sold", "1").add(3)
    metrics.shutdown()

    (line,) = receiver.store.logs(EVER).rows
    assert (line.level, line.event_type, line.message, line.agent, line.service, line.source) == (
        "INFO",
        "shop.sold",
        "something happened",
        "seller",
        "shop",
        "otlp",
    )
    (metric,) = receiver.store.metric_names()
    assert (metric.name, metric.kind, metric.unit, metric.points, metric.last_value) == ("sold", "sum", "1", 1, 3.0)


def run_an_agent() -> None:
    """An agent that calls a model and a tool, the tool in vain, observed by the core itself."""
    agent = start(AGENT, "planner", framework="langgraph", session_id="s-1", agent_id="planner")
    request = ModelRequest("gpt-4o-mini", "openai")
    model = start(CHAT, "gpt-4o-mini", framework="langgraph", parent=agent, request=request)
    model.usage = Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=64, source="provider")
    model.stop()
    tool = start(TOOL, "look_up", framework="langgraph", parent=agent)
    tool.fail(KeyError("nothing there"))
    agent.interrupt()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_spans_of_our_own_core_arrive_whole(receiver: Receiver, protocol: str):
    """Operation, agent, session, framework, usage, cost with its price, errors and how it ended: all that the core writes."""
    server = start_grpc_server(receiver.queue.submit, DashboardSettings(), 0)
    tracing = configure_tracing(service_name="shop")
    endpoint = receiver.url if protocol == "http/protobuf" else f"http://127.0.0.1:{server.bound_port}"
    tracing.add_exporter("otlp", endpoint=endpoint, protocol=protocol)
    run_an_agent()
    flush()
    server.stop(0).wait()

    agent, model, tool = receiver.spans()
    assert (agent.operation, agent.name, agent.agent, agent.session_id, agent.status) == (
        "invoke_agent",
        "planner",
        "planner",
        "s-1",
        "interrupted",
    )
    assert {span.framework for span in (agent, model, tool)} == {"langgraph"}
    assert {span.instrumentation for span in (agent, model, tool)} == {"ai_dev_squad"}
    assert (model.provider, model.model, model.usage_source) == ("openai", "gpt-4o-mini", "provider")
    assert (model.input_tokens, model.output_tokens, model.cache_read_tokens) == (100, 20, 64)
    assert (model.price, model.price_source, model.cost_usd) == ("openai/gpt-4o-mini", "genai-prices", 2.22e-05)
    assert model.cache_saving_usd == pytest.approx(4.8e-06)
    assert (tool.tool, tool.status, tool.error_type) == ("look_up", "error", "KeyError")
    assert "nothing there" in (tool.error_message or "")
    assert [span.parent_span_id for span in (agent, model, tool)] == [None, agent.span_id, agent.span_id]


@pytest.mark.parametrize("first", ["journal", "otlp"])
def test_a_run_that_comes_by_journal_and_by_otlp_is_one_run(receiver: Receiver, tmp_path: Path, first: str):
    """Whichever comes first: each span once, tokens and money once, in the same trace; the journal adds its lines."""
    configure_logging(log_dir=str(tmp_path))
    finished = InMemorySpanExporter()
    configure_tracing(service_name="shop").add_exporter(finished)
    run_an_agent()
    flush()
    tail = JournalTail([tmp_path], receiver.queue, counting=receiver.counting)
    sender = OTLPSpanExporter(f"{receiver.url}/v1/traces")
    ways = [tail.catch_up, lambda: sender.export(finished.get_finished_spans())]
    for come in ways if first == "journal" else reversed(ways):
        come()
    sender.shutdown()

    spans = receiver.spans()
    assert [span.name for span in spans] == ["planner", "gpt-4o-mini", "look_up"]
    assert {(span.trace_id, span.source) for span in spans} == {(spans[0].trace_id, first)}
    totals = receiver.store.totals(EVER)
    assert (totals.spans, totals.calls, totals.input_tokens, totals.output_tokens) == (3, 1, 100, 20)
    assert totals.cost_usd == 2.22e-05
    assert {row.trace_id for row in receiver.store.logs(EVER).rows} == {spans[0].trace_id}


@pytest.mark.parametrize("way", ["logs", "spans"])
@pytest.mark.parametrize("first", ["journal", "otlp"])
def test_a_mark_that_comes_by_journal_and_by_otlp_is_one_mark(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, way: str
):
    """As a log record where the program exports logs, else on the operation's span: what a program's user thinks counts once."""
    configure_logging(log_dir=str(tmp_path))
    finished, records = InMemorySpanExporter(), InMemoryLogRecordExporter()
    configure_tracing(service_name="shop").add_exporter(finished)
    if way == "logs":
        logs = LoggerProvider(resource=RESOURCE)
        logs.add_log_record_processor(SimpleLogRecordProcessor(records))
        monkeypatch.setattr("opentelemetry._logs.get_logger_provider", lambda: logs)
    with running(AGENT, "planner", framework="langgraph", session_id="s-1", agent_id="planner") as agent:
        feedback(
            agent.trace_id,
            name="helpful",
            score=1,
            label="good",
            comment="key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD",
        )
        feedback(name="fast", score=0.5)
    feedback(agent.trace_id, name="later", label="bad")
    flush()
    tail = JournalTail([tmp_path], receiver.queue, counting=receiver.counting)

    def send() -> None:
        sender: Any = OTLPSpanExporter(f"{receiver.url}/v1/traces")
        sender.export(finished.get_finished_spans())
        if way == "logs":
            OTLPLogExporter(f"{receiver.url}/v1/logs").export(records.get_finished_logs())

    events = [event.name for span in finished.get_finished_spans() for event in span.events]
    assert (len(records.get_finished_logs()), events) == (
        (3, []) if way == "logs" else (0, ["gen_ai.evaluation.result"] * 2)
    )
    for come in (tail.catch_up, send) if first == "journal" else (send, tail.catch_up, send):
        come()

    found = receiver.store.sql("SELECT trace_id, span_id, name, score, label, comment FROM marks ORDER BY name").rows
    trace, span = agent.trace_id, agent.span_id
    assert [row[:5] for row in found] == [
        (trace, span, "fast", 0.5, None),
        (trace, None, "helpful", 1.0, "good"),
        (trace, None, "later", None, "bad"),
    ]
    assert "sk-proj" not in found[1][5]
    lines = receiver.store.logs(EVER, event_types=("gen_ai.evaluation.result",)).rows
    assert sorted(line.message for line in lines) == ["fast: 0.5", "helpful: good", "later: bad"]


def test_a_whole_request_of_the_largest_size_is_taken(receiver: Receiver):
    """Twenty MiB, the limit, arrive over a real connection; one byte more does not."""
    limit = 20 << 20
    body = b'{"padding": "' + b"x" * (limit - 15) + b'"}'
    answers = [
        requests.post(f"{receiver.url}/v1/traces", data=data, headers={"Content-Type": "application/json"}, timeout=30)
        for data in (body, body + b" ")
    ]
    assert (len(body), [answer.status_code for answer in answers]) == (limit, [200, 413])


# --- gRPC -----------------------------------------------------------------------------------------------------------------


Starter = Callable[..., Any]


@pytest.fixture
def grpc_server(receiver: Receiver) -> Iterator[Starter]:
    """Starts servers, and stops them in the end."""
    running: list[Any] = []

    def listen(submit: Any = receiver.queue.submit, **options: Any) -> Any:
        running.append(start_grpc_server(submit, DashboardSettings(max_request_mib=1), 0, **options))
        return running[-1]

    yield listen
    for server in running:
        server.stop(0).wait()


def export(server: Any, body: bytes = b"", metadata: tuple[tuple[str, str], ...] = (), compression: Any = None) -> Any:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.bound_port}") as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        return call(body, metadata=metadata, compression=compression, timeout=120)


def test_grpc_asks_who_sends(grpc_server: Starter):
    """Without the right token nothing is taken, and the answer says how to send it."""
    import grpc

    server = grpc_server(authorized=lambda said: said == "Bearer secret")
    with pytest.raises(grpc.RpcError) as refused:
        export(server)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "authorization: Bearer TOKEN" in refused.value.details()
    assert export(server, metadata=(("authorization", "Bearer secret"),)) == b""


def test_grpc_refuses_what_is_malformed_or_too_large(grpc_server: Starter):
    """Malformed is INVALID_ARGUMENT, too large RESOURCE_EXHAUSTED, packed or not; neither is to be sent again."""
    import grpc

    server = grpc_server()
    codes = []
    for body, compression in ((b"\xff", None), (bytes(2 << 20), None), (bytes(64 << 20), grpc.Compression.Gzip)):
        with pytest.raises(grpc.RpcError) as refused:
            export(server, body, compression=compression)
        codes.append(refused.value.code().name)
    assert codes == ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]


def test_grpc_says_when_to_come_again(grpc_server: Starter):
    """Under pressure: UNAVAILABLE with RetryInfo, which is what makes an exporter wait and send again."""
    import grpc
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    def submit(_: Any) -> Any:
        raise Busy("too much waits", 7)

    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=10**18, end_time_unix_nano=10**18 + 1
    )
    with pytest.raises(grpc.RpcError) as refused:
        export(grpc_server(submit), request.SerializeToString())
    trailing = dict(refused.value.trailing_metadata())
    info = RetryInfo()
    assert Status.FromString(trailing["grpc-status-details-bin"]).details[0].Unpack(info)
    assert (refused.value.code(), refused.value.details(), info.retry_delay.seconds) == (
        grpc.StatusCode.UNAVAILABLE,
        "too much waits",
        7,
    )


def test_grpc_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """The extra is named, and the way without it."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(GrpcUnavailable, match=r"pip install 'ai-dev-squad-dashboard\[grpc\]'"):
        start_grpc_server(lambda batch: None, DashboardSettings(), 4317)  # type: ignore[arg-type,return-value]


def test_a_grpc_port_that_is_taken_is_an_error(grpc_server: Starter, caplog: pytest.LogCaptureFixture):
    """Two servers never share a port behind each other's back."""
    caplog.set_level(logging.CRITICAL)
    port = grpc_server().bound_port
    with pytest.raises(GrpcUnavailable, match=f"grpc_port {port} on 127.0.0.1 cannot be listened on"):
        start_grpc_server(lambda batch: None, DashboardSettings(), port)  # type: ignore[arg-type,return-value]


def test_events_of_model_calls_arrive(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``genai_events`` each model call is an event of the conventions, on its span, content as structures; others are none."""
    from opentelemetry import _logs

    from ai_dev_squad import configure

    exporter = OTLPLogExporter(f"{receiver.url}/v1/logs")
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(_logs, "get_logger_provider", lambda: provider)
    messages = [{"role": "user", "parts": [{"type": "text", "content": "Plan"}]}]
    for wanted in (False, True):
        configure(genai_events=wanted, capture_content=True)
        agent = start(AGENT, "planner", framework="langgraph", session_id="s-1")
        request = ModelRequest("gpt-4o-mini", "openai")
        said = {"gen_ai.input.messages": messages, "langgraph.node": "x"}
        call = start(CHAT, "gpt-4o-mini", framework="langgraph", parent=agent, request=request, attributes=said)
        call.usage = Usage(input_tokens=12, output_tokens=3, source="provider")
        call.fail(TimeoutError("late"))
        agent.stop()
    provider.shutdown()
    (line,) = receiver.store.logs(EVER).rows
    details = json.loads(line.details or b"{}")
    assert (line.event_type, line.level, line.trace_id, line.span_id) == (
        "gen_ai.client.inference.operation.details", "DEBUG", call.trace_id, call.span_id,
    )  # fmt: skip
    assert details["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.input.messages": messages,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "ai_dev_squad.usage.source": "provider",
        "error.type": "TimeoutError",
    }
