"""OTLP over HTTP as the specification asks: encodings, packing, limits, answers, and what is told to come again."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from concurrent.futures import Future
from typing import Any

import pytest
from flask import Flask
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ai_dev_squad_dashboard.ingest.otlp import create_blueprint
from ai_dev_squad_dashboard.ingest.queue import Busy
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import StoreError, Written
from ai_dev_squad_dashboard.store.rows import Batch

PROTOBUF, JSON = "application/x-protobuf", "application/json"
NOW_NS = time.time_ns()
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Sink:
    """Takes batches instead of a queue, or refuses them as it is told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.busy: Busy | None = None
        self.failure: Exception | None = None

    def submit(self, batch: Batch) -> Future[Written]:
        if self.busy is not None:
            raise self.busy
        self.batches.append(batch)
        done: Future[Written] = Future()
        if self.failure is not None:
            done.set_exception(self.failure)
        else:
            done.set_result(Written(len(batch.spans), 0, len(batch.logs)))
        return done


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def client(sink: Sink) -> Any:
    app = Flask(__name__)
    app.register_blueprint(create_blueprint(sink.submit, DashboardSettings(max_request_mib=1)))
    return app.test_client()


def span(**changes: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "work",
        "kind": 1,
        "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": str(NOW_NS + 5_000_000),
        **changes,
    }


def traces(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def protobuf(trace_id: bytes = bytes.fromhex(TRACE), span_id: bytes = bytes.fromhex(SPAN)) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=trace_id, span_id=span_id, name="work", start_time_unix_nano=NOW_NS, end_time_unix_nano=NOW_NS + 5
    )
    return request.SerializeToString()


@pytest.mark.parametrize(
    "path, request_type, response_type",
    [
        ("/v1/traces", ExportTraceServiceRequest, ExportTraceServiceResponse),
        ("/v1/logs", ExportLogsServiceRequest, ExportLogsServiceResponse),
        ("/v1/metrics", ExportMetricsServiceRequest, ExportMetricsServiceResponse),
    ],
)
def test_an_empty_request_succeeds_and_is_answered_in_its_own_encoding(client, sink, path, request_type, response_type):
    """Nothing to store is a success: 200, the response message of that path, nothing rejected."""
    packed = client.post(path, data=request_type().SerializeToString(), content_type=PROTOBUF)
    told = client.post(path, data=b"{}", content_type=JSON + "; charset=utf-8")

    assert (packed.status_code, packed.mimetype, packed.data) == (200, PROTOBUF, response_type().SerializeToString())
    assert (told.status_code, told.mimetype, told.data) == (200, JSON, b"{}")
    assert sink.batches == []


@pytest.mark.parametrize(
    "path, body, told",
    [
        (  # opentelemetry-python#3325
            "/v1/traces",
            {"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": "a" * 32}]}]}]},
            "'resource_spans' stands where this path looks for 'resourceSpans'",
        ),
        (  # langfuse#15707
            "/v1/traces",
            {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}]}]}]},
            "'resourceLogs' stands where this path looks for 'resourceSpans'",
        ),
        (
            "/v1/traces",
            {"resourceSpans": [{"resource": {}, "instrumentationLibrarySpans": [{"spans": [{}]}]}]},
            "'instrumentationLibrarySpans' stands where this path looks for 'scopeSpans'",
        ),
        ("/v1/logs", {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": []}]}]}, None),
        ("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [], "schemaUrl": "u"}, {"resource": {}}]}, None),
    ],
)
def test_a_request_in_which_nothing_is_found_is_told_why(client, sink, path, body, told):
    """Unknown names are ignored, as the protocol wants it; the sender learns which ones, and that nothing was stored."""
    answer = client.post(path, data=json.dumps(body), content_type=JSON)
    message = answer.json.get("partialSuccess", {}).get("errorMessage")
    assert (answer.status_code, message) == (200, told and f"nothing was found in it: {told}")
    assert sink.batches == []


def test_a_span_in_protobuf_and_in_json_becomes_the_same_row(client, sink):
    """Both encodings say the same, so they are stored as the same."""
    assert client.post("/v1/traces", data=protobuf(), content_type=PROTOBUF).status_code == 200
    same = span(traceId=TRACE.upper(), endTimeUnixNano=NOW_NS + 5)
    assert client.post("/v1/traces", data=traces(same), content_type=JSON).status_code == 200

    packed, told = (batch.spans[0]._replace(ingested_us=0) for batch in sink.batches)
    assert packed == told
    assert (packed.trace_id, packed.span_id, packed.name) == (TRACE, SPAN, "work")


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    "coding, pack",
    [
        ("gzip", gzip.compress),
        ("GZIP", lambda body: gzip.compress(body[:40]) + gzip.compress(body[40:])),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("identity", bytes),
        ("", bytes),
    ],
    ids=["gzip", "two gzip members", "deflate", "raw deflate", "identity", "none"],
)
def test_a_packed_body_is_unpacked(client, sink, coding, pack):
    """gzip, also in several members, and deflate, with and without zlib's head, are what senders use."""
    answer = client.post(
        "/v1/traces", data=pack(protobuf()), content_type=PROTOBUF, headers={"Content-Encoding": coding}
    )

    assert (answer.status_code, len(sink.batches)) == (200, 1)


@pytest.mark.parametrize(
    "body, headers, status, says",
    [
        (b"\xff\xff\xff", {}, 400, "is not the protobuf message"),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400, "cannot be unpacked"),
        (gzip.compress(b"x" * 100)[:-12], {"Content-Encoding": "gzip"}, 400, "ends too early"),
        (b"x" * (1 << 20) + b"x", {}, 413, "more than 1 MiB"),
        (gzip.compress(bytes(64 << 20)), {"Content-Encoding": "gzip"}, 413, "unpacks to more than 1 MiB"),
        (b"", {"Content-Encoding": "br"}, 415, "use gzip, deflate or none"),
    ],
    ids=["malformed", "not packed", "cut off", "too large", "bomb", "unknown packing"],
)
def test_what_is_not_valid_is_refused_for_good_with_a_status_in_its_encoding(client, sink, body, headers, status, says):
    """A 4xx with a google.rpc.Status that says what is wrong; nothing is stored, and nobody is told to come again."""
    answer = client.post("/v1/traces", data=body, content_type=PROTOBUF, headers=headers)

    assert (answer.status_code, answer.mimetype) == (status, PROTOBUF)
    assert says in Status.FromString(answer.data).message
    assert "Retry-After" not in answer.headers
    assert sink.batches == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [{"scopeSpans": 5}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "cut',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["empty", "a list", "wrong type", "wrong type inside", "cut off", "nested too deeply"],
)
def test_malformed_json_is_refused_for_good(client, sink, body):
    """What is no such message gets 400 and a JSON Status with the code for an invalid argument."""
    answer = client.post("/v1/traces", data=body, content_type=JSON)

    assert (answer.status_code, answer.mimetype, answer.json["code"]) == (400, JSON, 3)
    assert sink.batches == []


FINE = "d" * 16


@pytest.mark.parametrize(
    "bad, reason",
    [
        ({"attributes": [{"key": "n", "value": {"intValue": 1 << 65}}]}, "36893488147419103232 does not fit 64 bits"),
        ({"attributes": [{"key": "n", "value": {"intValue": str(1 << 65)}}]}, "36893488147419103232 does not fit 64 bits"),
        ({"startTimeUnixNano": "soon"}, "'soon' is not a 64-bit integer; write it like"),
        ({"startTimeUnixNano": 1 << 64}, "18446744073709551616 does not fit 64 bits"),
        ({"name": 5}, "it cannot be read (Expected `str | null`, got `int` - at `$.name`)"),
        ({"attributes": {"a": 1}}, "it cannot be read (Expected `array | null`, got `object` - at `$.attributes`)"),
    ],
    ids=["65-bit number", "65-bit text", "no time", "time over 64 bits", "name of a wrong type", "attributes of a wrong type"],
)  # fmt: skip
def test_a_bad_span_in_json_costs_itself_and_no_other(client, sink, bad, reason):
    """Of three spans the one that cannot be read is rejected, with the reason; its neighbours are stored."""
    spans = span(spanId="c" * 16), span(**bad), span(spanId=FINE)
    answer = client.post("/v1/traces", data=traces(*spans), content_type=JSON)
    partial = answer.json["partialSuccess"]
    assert (answer.status_code, partial["rejectedSpans"]) == (200, "1")
    assert partial["errorMessage"].startswith(f"a span could not be read: {reason}")
    assert [row.span_id for batch in sink.batches for row in batch.spans] == ["c" * 16, FINE]


def test_half_a_character_in_json_is_replaced_and_costs_nothing(client, sink):
    """A text that was cut within an emoji, as an escape or as bytes, and one whose escape only looks like it."""
    body = traces(span(name="CUT1"), span(spanId="c" * 16, name="CUT2"), span(spanId=FINE, name="CUT3"))
    body = (
        body.replace(b"CUT1", rb"cut \ud83d")
        .replace(b"CUT2", b"cut \xed\xa0\xbd")
        .replace(b"CUT3", rb"\\ud83d \ud83d\ude00")
    )
    answer = client.post("/v1/traces", data=body, content_type=JSON)
    assert (answer.status_code, answer.data) == (200, b"{}")
    assert [row.name for batch in sink.batches for row in batch.spans] == [
        "cut \ufffd",
        "cut \ufffd\ufffd\ufffd",
        "\\ud83d 😀",
    ]


def test_a_bad_span_in_protobuf_costs_itself_and_no_other(client, sink):
    """A name that is no UTF-8, and an attribute that is no value, reject their spans; the third is stored."""
    request = ExportTraceServiceRequest()
    of_scope = request.resource_spans.add().scope_spans.add()
    for number, name in enumerate(["CUT", "odd", "fine"], 1):
        times = {"start_time_unix_nano": NOW_NS, "end_time_unix_nano": NOW_NS + 5}
        one = of_scope.spans.add(trace_id=bytes.fromhex(TRACE), span_id=bytes([number] * 8), name=name, **times)
        one.attributes.add(key="text").value.string_value = f"value {name}"
    body = (
        request.SerializeToString()
        .replace(b"\x03CUT", b"\x03\xff\xfe\xfd")
        .replace(b"\x0a\x09value odd", b"\x0a\x99value odd")
    )
    answer = client.post("/v1/traces", data=body, content_type=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.data).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 2)
    assert [row.name for batch in sink.batches for row in batch.spans] == ["fine"]


@pytest.mark.parametrize("path, signal, kept", [("/v1/logs", "log", "logs"), ("/v1/metrics", "metric", "metrics")])
def test_a_bad_record_or_metric_costs_itself_and_no_other(client, sink, path, signal, kept):
    """As with spans: the answer counts what was rejected, the rest is stored."""
    points = {"dataPoints": [{"timeUnixNano": str(NOW_NS), "asInt": "1"}]}
    bodies = {
        "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityText": 5}, {"eventName": "fine"}]}]}]},
        "metrics": {
            "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 5}, {"name": "fine", "sum": points}]}]}]
        },
    }
    answer = client.post(path, json=bodies[kept])
    (told,) = [value for name, value in answer.json["partialSuccess"].items() if name.startswith("rejected")]
    assert (answer.status_code, told, len(getattr(sink.batches[0], kept))) == (200, "1", 1)
    assert answer.json["partialSuccess"]["errorMessage"].startswith(f"a {signal}")


def test_a_bad_resource_costs_its_own_spans_and_no_others(client, sink):
    """Spans of a service whose resource cannot be read are rejected; those of another service in the same request stay."""

    def of(value: Any, name: str) -> dict[str, Any]:
        resource = {"attributes": [{"key": "service.name", "value": value}]}
        return {"resource": resource, "scopeSpans": [{"spans": [span(name=name)]}]}

    body = {"resourceSpans": [of({"intValue": 1 << 65}, "bad"), of({"stringValue": "shop"}, "fine")]}
    answer = client.post("/v1/traces", json=body)
    assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
    assert [(row.name, row.service) for batch in sink.batches for row in batch.spans] == [("fine", "shop")]


def test_a_part_of_the_wrong_type_costs_neither_its_resource_nor_its_neighbours(client, sink):
    """What is no OTLP at all in one span or one resource is rejected by itself; the rest keeps the names it was sent with."""

    def of(resource: Any, *spans: dict[str, Any]) -> dict[str, Any]:
        return {"resource": resource, "scopeSpans": [{"spans": list(spans)}]}

    shop = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    body = {
        "resourceSpans": [
            of(shop, span(name="fine"), span(status="bad"), span(traceId=5), span(links=[{"spanId": 1}])),
            of(5, span(name="of no resource that can be read")),
            of(None, span(name="of none")),
        ]
    }
    answer = client.post("/v1/traces", json=body)

    assert (answer.status_code, answer.json["partialSuccess"]["rejectedSpans"]) == (200, "4")
    assert [(row.name, row.service) for batch in sink.batches for row in batch.spans] == [
        ("fine", "shop"),
        ("of none", None),
    ]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_another_content_type_is_not_understood(client, content_type):
    """Anything but protobuf and JSON is 415, with the types that are."""
    answer = client.post("/v1/traces", data=b"x", content_type=content_type)

    assert answer.status_code == 415
    assert "use application/x-protobuf or application/json" in answer.json["message"]


def test_spans_without_valid_ids_or_times_are_rejected_and_the_others_stored(client, sink):
    """Partial success counts what was not taken and names each reason once."""
    far = str(NOW_NS + 2 * 86_400 * 10**9)
    answer = client.post(
        "/v1/traces",
        data=traces(
            span(),
            span(traceId="0" * 32),
            span(traceId="xyz"),
            span(spanId=""),
            span(startTimeUnixNano="0"),
            span(endTimeUnixNano=None),
            span(startTimeUnixNano=far, endTimeUnixNano=far),
        ),
        content_type=JSON,
    )

    assert answer.status_code == 200
    assert answer.json == {
        "partialSuccess": {
            "rejectedSpans": "6",
            "errorMessage": "a trace id is not 16 bytes, or all zero; a span id is not 8 bytes, or all zero; "
            "a span has no start or no end time; a span's times are more than a day ahead of this machine's clock",
        }
    }
    assert [row.span_id for row in sink.batches[0].spans] == [SPAN]


def test_partial_success_in_protobuf_counts_too(client):
    """A sender of protobuf reads the same from its own message."""
    answer = client.post("/v1/traces", data=protobuf(span_id=b"short"), content_type=PROTOBUF)

    partial = ExportTraceServiceResponse.FromString(answer.data).partial_success
    assert (partial.rejected_spans, partial.error_message) == (1, "a span id is not 8 bytes, or all zero")


def test_metric_points_that_cannot_be_stored_are_counted(client, sink):
    """A point without a time, and the points of a metric without a kind, are rejected; the good one is stored."""
    good = {"timeUnixNano": str(NOW_NS), "asInt": "7"}
    metrics = [
        {"name": "good", "unit": "1", "sum": {"dataPoints": [good, {"asInt": "7"}]}},
        {"name": "", "gauge": {"dataPoints": [good]}},
    ]
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})
    answer = client.post("/v1/metrics", data=body, content_type=JSON)

    assert answer.json["partialSuccess"]["rejectedDataPoints"] == "2"
    assert [(row.name, row.value) for row in sink.batches[0].metrics] == [("good", 7.0)]


def test_a_busy_store_asks_to_come_again_later(client, sink):
    """Under pressure a sender gets 429 and the seconds to wait, as the queue says."""
    sink.busy = Busy("50000 rows wait for the store", 7)
    answer = client.post("/v1/traces", data=traces(span()), content_type=JSON)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json == {"code": 8, "message": "50000 rows wait for the store"}


def test_a_store_that_cannot_write_asks_to_come_again(client, sink):
    """Nothing is acknowledged that is not on disk: 503, with the store's own words."""
    sink.failure = StoreError("the disk is full")
    answer = client.post("/v1/traces", data=protobuf(), content_type=PROTOBUF)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert Status.FromString(answer.data).message == "the disk is full"


def test_an_answer_waits_until_the_store_has_written(client, sink, monkeypatch):
    """A store that does not answer in time is no success."""
    monkeypatch.setattr("ai_dev_squad_dashboard.ingest.otlp_receive.PATIENCE_S", 0.01)
    monkeypatch.setattr(Sink, "submit", lambda self, batch: Future())
    app = Flask(__name__)
    app.register_blueprint(create_blueprint(sink.submit, DashboardSettings()))
    answer = app.test_client().post("/v1/traces", data=protobuf(), content_type=PROTOBUF)

    assert answer.status_code == 503


def test_other_methods_are_not_taken(client):
    """A browser that opens the path is told that it is for sending."""
    assert client.get("/v1/traces").status_code == 405
