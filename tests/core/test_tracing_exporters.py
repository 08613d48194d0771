"""Exporters: over real HTTP and gRPC, to the living and the dead."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from concurrent import futures
from importlib import util
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service_grpc
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ai_dev_squad.tracing import TraceManager
from ai_dev_squad.tracing.exporters import OtlpTarget, resolve_otlp


@pytest.mark.parametrize("compression", [None, "none", "gzip", "deflate"])
def test_otlp_over_http_arrives_whole(receiver: Any, compression: str | None) -> None:
    """Spans reach a real HTTP receiver with resource, scope, attributes, status and our headers, also compressed."""
    manager = TraceManager("squad", "2.0", use_global=False)
    manager.add_exporter(
        "otlp", endpoint=receiver.url, protocol="http/protobuf", headers={"X-Key": "k1"}, compression=compression
    )
    with pytest.raises(ValueError, match="boom"):
        with manager.trace_agent_operation("planner", "langgraph", "plan"):
            raise ValueError("boom")
    assert manager.force_flush(5_000)
    manager.shutdown()

    ((path, headers, request),) = receiver.requests
    (resource,) = request.resource_spans
    (scope,) = resource.scope_spans
    (span,) = scope.spans
    assert (path, headers["x-key"], headers.get("content-encoding")) == (
        "/v1/traces",
        "k1",
        None if compression == "none" else compression,
    )
    assert {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"] == "squad"
    assert (scope.scope.name, span.name, span.status.code, span.status.message) == (
        "ai_dev_squad",
        "agent.plan",
        2,
        "boom",
    )
    assert {item.key: item.value.string_value for item in span.attributes}["agent.id"] == "planner"


def test_otlp_over_grpc_arrives_whole() -> None:
    """Spans reach a real gRPC server, compressed, with lower-case metadata."""
    seen: list[tuple[dict[str, str], service.ExportTraceServiceRequest]] = []

    class Service(service_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            seen.append((dict(context.invocation_metadata()), request))
            return service.ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    service_grpc.add_TraceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter(
        "otlp", endpoint=f"http://127.0.0.1:{port}", protocol="grpc", headers={"X-Key": "k1"}, compression="gzip"
    )
    with manager.trace_operation("op"):
        pass
    assert manager.force_flush(10_000)
    manager.shutdown()
    server.stop(0)

    ((metadata, request),) = seen
    assert metadata["x-key"] == "k1"
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == ["op"]


def test_jaeger_takes_otlp(receiver: Any) -> None:
    """The guide's call for Jaeger sends OTLP to host and port."""
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter("jaeger", host="127.0.0.1", port=receiver.server.server_port, protocol="http/protobuf")
    manager.start_span("x").end()
    assert manager.force_flush(5_000)
    manager.shutdown()

    assert receiver.spans() == ["x"]


def test_jaegers_retired_ports_become_its_otlp_port(caplog: pytest.LogCaptureFixture) -> None:
    """The old agent port is answered by OTLP on 4317, and a log line says so."""
    caplog.set_level(logging.INFO, "ai_dev_squad")
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter("jaeger", host="localhost", port=6831)

    assert manager._deliveries[0].destination == "http://localhost:4317"
    assert caplog.messages == [
        "Jaeger's port 6831 takes a retired protocol; spans go to its OTLP port on localhost instead"
    ]
    manager.shutdown()


def test_the_console_prints_spans_as_json() -> None:
    """The console exporter writes each span as JSON."""
    out = io.StringIO()
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter("console", out=out)
    manager.start_span("x").end()
    manager.shutdown()

    assert json.loads(out.getvalue())["name"] == "x"


def test_an_exporter_object_is_accepted() -> None:
    """Any OpenTelemetry exporter can be added as it is."""
    collector = Collector()
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter(collector)
    manager.start_span("x").end()
    manager.shutdown()

    assert (collector.names, collector.closed) == (["x"], True)


@pytest.mark.parametrize(
    "exporter, options, error, message",
    [
        ("zipkin", {}, ValueError, "Unknown exporter type: 'zipkin'; allowed: 'otlp', 'jaeger', 'console'"),
        ("otlp", {"port": 1}, TypeError, "unknown option 'port' for exporter 'otlp'; allowed: endpoint"),
        ("otlp", {"endpoint": "ftp://x"}, ValueError, "'ftp://x' is no URL; write it like"),
        ("otlp", {"endpoint": "http://x:port"}, ValueError, "'http://x:port' is no URL"),
        ("otlp", {"endpoint": "x:4317"}, ValueError, "does not say whether to use TLS; write 'http://x:4317'"),
        ("otlp", {"endpoint": "https://x", "insecure": True}, ValueError, "always uses TLS"),
        ("otlp", {"protocol": "http/json"}, ValueError, "'http/json' is not supported; allowed: 'grpc'"),
        ("otlp", {"compression": "zip"}, ValueError, "compression='zip' is not allowed; use one of 'none', 'gzip'"),
        ("otlp", {"timeout": 0}, ValueError, "timeout=0 is not a positive number of seconds"),
        (42, {}, TypeError, "42 is no exporter object"),
    ],
)
def test_bad_exporters_name_value_and_cure(exporter: Any, options: Any, error: Any, message: str) -> None:
    """What can't work is refused when it's configured, and nothing starts recording."""
    manager = TraceManager("squad", use_global=False)
    with pytest.raises(error, match=message):
        manager.add_exporter(exporter, **options)

    assert not manager.recording


@pytest.mark.parametrize(
    "protocol, line",
    [
        ("grpc", r'pip install "ai-dev-squad\[otlp-grpc\]"; or use OTLP over HTTP'),
        ("http/protobuf", r'pip install "ai-dev-squad\[otlp\]"$'),
    ],
)
def test_a_missing_package_names_the_line_to_install(monkeypatch: pytest.MonkeyPatch, protocol: str, line: str) -> None:
    """Without the optional package the error is the cure."""
    for name in ("grpc", "http"):
        monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{name}.trace_exporter", None)
    manager = TraceManager("squad", use_global=False)
    with pytest.raises(ImportError, match=line):
        manager.add_exporter("otlp", protocol=protocol)


@pytest.mark.parametrize(
    "installed, expected",
    [
        ({"http/protobuf"}, ("http://c:9999/v1/traces", "http/protobuf", True)),
        ({"http/protobuf", "grpc"}, ("http://c:9999", "grpc", True)),
        (set(), ("http://c:9999", "grpc", True)),
    ],
)
def test_where_nothing_names_the_protocol_it_is_the_one_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], expected: tuple[str, str, bool]
) -> None:
    """An endpoint with neither a known port nor a path is spoken to in what is there; gRPC, if both are."""
    monkeypatch.setattr("ai_dev_squad.tracing.exporters._installed", installed.__contains__)
    assert resolve_otlp(None, None, None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:9999"}) == OtlpTarget(*expected)


def test_jaeger_uses_the_protocol_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With only the HTTP exporter installed, Jaeger is reached on 4318."""
    real = util.find_spec
    monkeypatch.setattr(
        "ai_dev_squad.tracing.exporters.find_spec", lambda name: None if ".grpc." in name else real(name)
    )
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter("jaeger", host="localhost")

    assert manager._deliveries[0].destination == "http://localhost:4318/v1/traces"
    manager.shutdown()


@pytest.mark.parametrize(
    "endpoint, protocol, insecure, environ, expected",
    [
        (None, None, None, {}, ("http://localhost:4317", "grpc", True)),
        (None, "http/protobuf", None, {}, ("http://localhost:4318/v1/traces", "http/protobuf", True)),
        ("http://c:4318", None, None, {}, ("http://c:4318/v1/traces", "http/protobuf", True)),
        ("http://c:4318/", None, None, {}, ("http://c:4318/v1/traces", "http/protobuf", True)),
        (
            "http://c:4317",
            None,
            None,
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            ("http://c:4317", "grpc", True),
        ),
        ("https://c", None, None, {}, ("https://c", "grpc", False)),
        ("https://c/v1/traces", None, None, {}, ("https://c/v1/traces", "http/protobuf", False)),
        ("https://c/x", "http", None, {}, ("https://c/x", "http/protobuf", False)),
        ("c:4317", None, True, {}, ("http://c:4317", "grpc", True)),
        ("c:4317", None, False, {}, ("https://c:4317", "grpc", False)),
        (
            None,
            None,
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            ("http://c/otlp/v1/traces", "http/protobuf", True),
        ),
        (
            None,
            None,
            None,
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            ("http://c/t", "http/protobuf", True),
        ),
        (
            None,
            None,
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
            ("http://c:4318/v1/traces", "http/protobuf", True),
        ),
        (
            None,
            None,
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"},
            ("http://c:4317", "grpc", True),
        ),
        (
            None,
            None,
            None,
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            ("http://localhost:4318/v1/traces", "http/protobuf", True),
        ),
        ("http://c/api", None, None, {}, ("http://c/api", "http/protobuf", True)),
        (
            None,
            None,
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/api/public/otel"},
            ("http://c/api/public/otel/v1/traces", "http/protobuf", True),
        ),
    ],
)
def test_endpoint_and_protocol(
    endpoint: str | None, protocol: str | None, insecure: bool | None, environ: dict[str, str], expected: Any
) -> None:
    """Arguments, variables and well-known ports settle where OTLP goes and how."""
    assert resolve_otlp(endpoint, protocol, insecure, environ) == OtlpTarget(*expected)


@given(st.text(), st.sampled_from([None, "grpc", "http/protobuf"]))
def test_an_endpoint_is_understood_or_refused_by_name(endpoint: str, protocol: str | None) -> None:
    """Any text is either a usable URL or a ValueError that quotes it."""
    try:
        outcome = resolve_otlp(endpoint, protocol, None, {}).endpoint.partition("://")[0].lower()
    except ValueError as error:
        outcome = "refused" if repr(endpoint) in str(error) else str(error)

    assert outcome in {"http", "https", "refused"}


# --- the dead ---------------------------------------------------------------------------------------------------------


class Collector(SpanExporter):
    """Keeps names; optionally fails, raises or hangs until it's shut down."""

    def __init__(self, behaviour: str = "succeed") -> None:
        self.behaviour, self.names, self.closed = behaviour, [], False
        self.released = threading.Event()
        self.entered = threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.entered.set()
        if self.behaviour == "hang":
            self.released.wait(30)
            return SpanExportResult.FAILURE
        if self.behaviour == "raise":
            raise OSError("no route")
        if self.behaviour == "fail":
            return SpanExportResult.FAILURE
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.closed = True
        self.released.set()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("death", ["closed", "silent"])
def test_a_dead_endpoint_is_survived_and_reported_once(
    protocol: str, death: str, closed_port: int, silent_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Against a closed port and one that never answers, flush and shutdown keep their time, the loss is counted, and
    the log has one calm line instead of the exporter's retries.
    """
    port = closed_port if death == "closed" else silent_port
    lost: list[tuple[int, str]] = []
    manager = TraceManager(
        "squad", use_global=False, shutdown_timeout_ms=300, on_lost=lambda count, why: lost.append((count, why))
    )
    manager.add_exporter("otlp", endpoint=f"http://127.0.0.1:{port}", protocol=protocol, timeout=1.5)
    delivery = manager._deliveries[0]
    manager.start_span("x").end()
    began = time.monotonic()
    flushed = manager.force_flush(100)
    manager.shutdown()
    took = time.monotonic() - began
    delivery._worker.join(15)

    assert not flushed
    # Far above the promise, far below the thirty seconds of the SDK's own: this asserts a bound, not a speed.
    assert took < 10
    assert sum(count for count, _ in lost) == 1
    assert [record.name for record in caplog.records] == ["ai_dev_squad"]
    assert caplog.messages[0].startswith(f"spans do not reach http://127.0.0.1:{port}")


@pytest.mark.parametrize("death", ["closed", "silent"])
def test_a_program_with_a_dead_endpoint_exits_in_time(death: str, closed_port: int, silent_port: int) -> None:
    """A whole interpreter with a dead endpoint and no shutdown call ends by itself within the setting."""
    port = closed_port if death == "closed" else silent_port
    program = (
        "from ai_dev_squad.tracing import TraceManager\n"
        "manager = TraceManager('squad', shutdown_timeout_ms=200)\n"
        f"manager.add_exporter('otlp', endpoint='http://127.0.0.1:{port}', protocol='http/protobuf')\n"
        "with manager.trace_operation('op'): pass\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=8, check=True)

    assert done.stdout == "done\n"
    why = r"\[Errno \d+\] Connection refused" if death == "closed" else "0.2 s were not enough .*"
    assert re.match(rf"spans do not reach http://127.0.0.1:{port}/v1/traces \({why}\)", done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_program_that_never_flushes_delivers_at_exit(receiver: Any) -> None:
    """The last spans of a short program are delivered when the interpreter exits."""
    program = (
        "from ai_dev_squad.tracing import TraceManager\n"
        "manager = TraceManager('squad')\n"
        f"manager.add_exporter('otlp', endpoint='{receiver.url}', protocol='http/protobuf')\n"
        "with manager.trace_operation('last'): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)

    assert (receiver.spans(), done.stderr) == (["last"], "")


@pytest.mark.parametrize("behaviour, why", [("fail", "the exporter gave no reason"), ("raise", "OSError: no route")])
def test_failure_and_recovery_are_each_told_once(behaviour: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """Several failing batches make one warning; when spans arrive again, one line says so with the number lost."""
    caplog.set_level(logging.INFO, "ai_dev_squad")
    collector = Collector(behaviour)
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter(collector)
    for _ in range(3):
        manager.start_span("x").end()
        assert manager.force_flush(5_000)
    collector.behaviour = "succeed"
    manager.start_span("y").end()
    assert manager.force_flush(5_000)

    assert (collector.names, manager.lost, manager.exported) == (["y"], 3, 1)
    assert [message.partition(". ")[0] for message in caplog.messages] == [
        f"spans do not reach Collector ({why})",
        "spans reach Collector again; 3 were lost meanwhile",
    ]
    manager.shutdown()


def test_a_hanging_exporter_delays_neither_caller_nor_shutdown() -> None:
    """An exporter that hangs costs the shutdown its bound and the queue its oldest spans, nothing else."""
    collector = Collector("hang")
    lost: list[tuple[int, str]] = []
    manager = TraceManager(
        "squad",
        use_global=False,
        max_queue_size=4,
        max_batch_size=2,
        shutdown_timeout_ms=200,
        on_lost=lambda count, why: lost.append((count, why)),
    )
    manager.add_exporter(collector)
    delivery = manager._deliveries[0]
    for _ in range(2):
        manager.start_span("taken").end()
    assert collector.entered.wait(5)
    for _ in range(10):
        manager.start_span("queued").end()

    assert (delivery.queued, delivery.lost, lost) == (4, 6, [])
    manager.shutdown()
    delivery._worker.join(5)
    assert collector.closed
    assert delivery.lost == 12
    assert lost.count((6, "the queue was full")) == 1
    assert sum(count for count, _ in lost) == 12


def test_a_dead_exporter_takes_no_time_from_a_living_one() -> None:
    """At shutdown, spans still reach the second exporter while the first one hangs."""
    dead, living = Collector("hang"), Collector()
    manager = TraceManager("squad", use_global=False, shutdown_timeout_ms=400)
    manager.add_exporter(dead)
    manager.add_exporter(living)
    manager.start_span("x").end()
    manager.shutdown()

    assert living.names == ["x"]


def test_a_loss_callback_that_raises_loses_nothing_more() -> None:
    """The delivering thread survives a failing on_lost."""
    collector = Collector("fail")

    def broken(count: int, why: str) -> None:
        raise RuntimeError("broken")

    manager = TraceManager("squad", use_global=False, on_lost=broken)
    manager.add_exporter(collector)
    manager.start_span("x").end()
    assert manager.force_flush(5_000)
    collector.behaviour = "succeed"
    manager.start_span("y").end()
    assert manager.force_flush(5_000)

    assert collector.names == ["y"]
    manager.shutdown()


def test_a_flush_covers_every_span_that_ended_before_it() -> None:
    """Spans of several threads, more than a batch, have all been handed over when flush returns."""
    collector = Collector()
    manager = TraceManager("squad", use_global=False, max_batch_size=7)
    manager.add_exporter(collector)

    def work() -> None:
        for _ in range(100):
            manager.start_span("x").end()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert manager.force_flush(10_000)
    assert len(collector.names) == 400
    manager.shutdown()


def test_exporters_may_be_added_again_after_a_shutdown() -> None:
    """A manager that was shut down gives identities, and records again once it has an exporter."""
    manager = TraceManager("squad", use_global=False)
    first, second = Collector(), Collector()
    manager.add_exporter(first)
    manager.start_span("a").end()
    manager.shutdown()
    manager.shutdown()
    manager.start_span("nobody").end()
    manager.add_exporter(second)
    manager.start_span("b").end()
    manager.shutdown()

    assert (first.names, second.names) == (["a"], ["b"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_delivers_its_own_spans_and_not_its_parents() -> None:
    """After fork, each process delivers exactly what ended in it."""
    read, write = os.pipe()

    class Pipe(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            os.write(write, "".join(f"{os.getpid()}:{span.name}\n" for span in spans).encode())
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            pass

    manager = TraceManager("squad", use_global=False, shutdown_at_exit=False)
    manager.add_exporter(Pipe())
    manager.start_span("parent").end()
    child = os.fork()
    if child == 0:
        manager.start_span("child").end()
        os._exit(0 if manager.force_flush(5_000) else 1)
    assert os.waitpid(child, 0)[1] == 0
    manager.shutdown()
    os.close(write)
    with open(read) as pipe:
        lines = sorted(pipe.read().splitlines())

    assert lines == sorted([f"{os.getpid()}:parent", f"{child}:child"])


# --- requests ---------------------------------------------------------------------------------------------------------


def test_requests_are_traced_nested_and_undone(receiver: Any, new_receiver: Any) -> None:
    """With the option, calls made with requests become spans below ours and carry our trace header; closing undoes it;
    the exporter's own calls are not traced.
    """
    import requests

    original = requests.Session.send
    manager = TraceManager("squad", use_global=False, instrument_requests=True)
    manager.add_exporter("otlp", endpoint=receiver.url, protocol="http/protobuf")
    target = new_receiver()
    with manager.trace_operation("op") as span:
        requests.post(target.url, timeout=5)
    assert manager.force_flush(5_000)
    manager.start_span("second").end()
    assert manager.force_flush(5_000)
    manager.shutdown()

    ((_, headers, _),) = target.requests
    assert headers["traceparent"].split("-")[1] == f"{span.get_span_context().trace_id:032x}"
    assert receiver.spans() == ["POST", "op", "second"]
    assert requests.Session.send is original


def test_requests_that_the_application_instruments_stay_its_own() -> None:
    """When the application has instrumented requests, our undo takes nothing away."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    theirs = RequestsInstrumentor()
    theirs.instrument()
    try:
        manager = TraceManager("squad", use_global=False)
        with manager.instrument_requests():
            pass
        manager.shutdown()
        assert theirs.is_instrumented_by_opentelemetry
    finally:
        theirs.uninstrument()


def test_without_the_package_requests_tracing_names_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing optional package is named with the line to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.requests", None)
    with pytest.raises(ImportError, match=r'pip install "ai-dev-squad\[requests\]"'):
        TraceManager("squad", use_global=False, instrument_requests=True)
