"""Both decoders fill the same shapes, whatever the senders wrote, and the fast ways of reading agree with the official one."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ai_dev_squad_dashboard.ingest import otlp_json, otlp_protobuf
from ai_dev_squad_dashboard.ingest.otlp_shapes import (
    Event,
    Link,
    LogRecord,
    Metric,
    Origin,
    Point,
    Span,
    Unreadable,
)

TRACE, OTHER, SPAN = "0af7651916cd43dd8448eb211c80319c", "1" * 32, "b7ad6b7169203331"

SCALARS = st.one_of(
    st.text(max_size=300),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(st.text(max_size=140), VALUES, max_size=6)


def fill(target: AnyValue, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for item in value:
            fill(target.array_value.values.add(), item)
    else:
        target.kvlist_value.SetInParent()
        for key, item in value.items():
            fill(target.kvlist_value.values.add(key=key).value, item)


def told(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return {"arrayValue": {"values": [told(item) for item in value]}}
    return {"kvlistValue": {"values": [{"key": key, "value": told(item)} for key, item in value.items()]}}


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": told(value)} for key, value in attributes.items()]


@settings(max_examples=50)
@given(ATTRIBUTES, ATTRIBUTES)
def test_a_span_is_read_alike_from_protobuf_and_json(attributes: dict[str, Any], resource: dict[str, Any]):
    """Whatever attributes a span has, in whatever types and lengths, both encodings give the sender's values back."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name, of_scope.scope.version = "maker", "2"
    span = of_scope.spans.add(
        trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN), name="work", kind=3,
        start_time_unix_nano=5, end_time_unix_nano=(1 << 64) - 1,
    )  # fmt: skip
    span.status.code, span.status.message = 2, "broke"
    event = span.events.add(name="note", time_unix_nano=7)
    link = span.links.add(trace_id=bytes.fromhex(OTHER), span_id=bytes.fromhex(SPAN))
    for key, value in resource.items():
        fill(of_resource.resource.attributes.add(key=key).value, value)
    for holder in (span, event, link):
        for key, value in attributes.items():
            fill(holder.attributes.add(key=key).value, value)
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(resource)},
                "scopeSpans": [
                    {
                        "scope": {"name": "maker", "version": "2", "unknown": [1]},
                        "spans": [
                            {
                                "traceId": TRACE.upper(),
                                "spanId": SPAN,
                                "parentSpanId": "",
                                "name": "work",
                                "kind": 3,
                                "startTimeUnixNano": "5",
                                "endTimeUnixNano": (1 << 64) - 1,
                                "attributes": pairs(attributes),
                                "events": [{"name": "note", "timeUnixNano": 7, "attributes": pairs(attributes)}],
                                "links": [{"traceId": OTHER, "spanId": SPAN, "attributes": pairs(attributes)}],
                                "status": {"code": 2, "message": "broke"},
                                "fromTheFuture": {"x": None},
                            }
                        ],
                    }
                ],
            }
        ]
    }
    expected = [
        (
            Origin(resource, "maker", "2"),
            [
                Span(
                    TRACE, SPAN, "", "work", 3, 5, (1 << 64) - 1, attributes,
                    [Event(7, "note", attributes)], [Link(OTHER, SPAN, attributes)], True, "broke",
                )
            ],
        )
    ]  # fmt: skip
    assert list(otlp_protobuf.read_spans(request.SerializeToString())) == expected
    assert list(otlp_json.read_spans(json.dumps(document).encode())) == expected


def test_a_log_record_is_read_alike_from_protobuf_and_json():
    """Body, severity, event name and ids; a record without a time of its own has that of being observed."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(
        observed_time_unix_nano=9, severity_number=17, severity_text="ERROR", event_name="broke",
        trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN),
    )  # fmt: skip
    fill(record.body, {"what": ["it", 1]})
    document = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "observedTimeUnixNano": "9",
                                "severityNumber": 17,
                                "severityText": "ERROR",
                                "eventName": "broke",
                                "traceId": TRACE,
                                "spanId": SPAN,
                                "body": told({"what": ["it", 1]}),
                            }
                        ]
                    }
                ]
            }
        ]
    }
    expected = [(Origin(), [LogRecord(9, 17, "ERROR", {"what": ["it", 1]}, {}, "broke", TRACE, SPAN)])]
    assert list(otlp_protobuf.read_logs(request.SerializeToString())) == expected
    assert list(otlp_json.read_logs(json.dumps(document).encode())) == expected


def test_all_five_kinds_of_metric_are_read_alike_from_protobuf_and_json():
    """Gauge, sum, histogram, exponential histogram and summary keep their numbers, buckets and quantiles."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="g", unit="s").gauge.data_points.add(time_unix_nano=1, as_double=0.5)
    metrics.add(name="s").sum.data_points.add(time_unix_nano=2, as_int=-3)
    metrics.add(name="h").histogram.data_points.add(
        time_unix_nano=3, count=3, sum=6.5, bucket_counts=[1, 2], explicit_bounds=[2.0], min=0.5, max=4.0
    )
    wide = metrics.add(name="e").exponential_histogram.data_points.add(
        time_unix_nano=4, count=2, scale=-1, zero_count=1
    )
    wide.positive.offset = 3
    wide.positive.bucket_counts.append(1)
    metrics.add(name="q").summary.data_points.add(time_unix_nano=5, count=2, sum=3.0).quantile_values.add(
        quantile=0.5, value=1.5
    )
    metrics.add(name="nothing")
    point = {"count": "2", "scale": -1, "zeroCount": 1, "positive": {"offset": 3, "bucketCounts": ["1"]}}
    document = [
        {"name": "g", "unit": "s", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asDouble": 0.5}]}},
        {"name": "s", "sum": {"dataPoints": [{"timeUnixNano": 2, "asInt": "-3"}]}},
        {
            "name": "h",
            "histogram": {
                "dataPoints": [
                    {
                        "timeUnixNano": "3", "count": 3, "sum": 6.5, "bucketCounts": ["1", 2],
                        "explicitBounds": [2], "min": 0.5, "max": 4,
                    }
                ]
            },
        },
        {"name": "e", "exponentialHistogram": {"dataPoints": [{"timeUnixNano": "4", **point}]}},
        {
            "name": "q",
            "summary": {
                "dataPoints": [
                    {"timeUnixNano": "5", "count": "2", "sum": 3, "quantileValues": [{"quantile": 0.5, "value": 1.5}]}
                ]
            },
        },
        {"name": "nothing"},
    ]  # fmt: skip
    empty = {"offset": 0, "counts": []}
    buckets = {"scale": -1, "zero_count": 1, "positive": {"offset": 3, "counts": [1]}, "negative": empty}
    expected = [
        Metric("g", "gauge", "s", [Point(1, {}, 0.5, None, None)]),
        Metric("s", "sum", "", [Point(2, {}, -3.0, None, None)]),
        Metric(
            "h", "histogram", "",
            [Point(3, {}, 6.5, 3, {"buckets": {"bounds": [2.0], "counts": [1, 2], "min": 0.5, "max": 4.0}})],
        ),
        Metric("e", "exponential_histogram", "", [Point(4, {}, None, 2, {"buckets": buckets})]),
        Metric("q", "summary", "", [Point(5, {}, 3.0, 2, {"quantiles": [[0.5, 1.5]]})]),
        Metric("nothing", "", "", []),
    ]  # fmt: skip
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": document}]}]}).encode()
    assert list(otlp_protobuf.read_metrics(request.SerializeToString())) == [(Origin(), expected)]
    assert list(otlp_json.read_metrics(body)) == [(Origin(), expected)]


@pytest.mark.parametrize("depth, bottom", [(40, "deep"), (80, "(nested too deeply)")])
def test_nested_values_are_read_to_a_depth(depth: int, bottom: str):
    """A value nested deeper than any honest one ends in words instead of exhausting the stack."""
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": told(value)}]}]}]}).encode()
    ((_, (record,)),) = otlp_json.read_logs(body)
    found = record.body
    while isinstance(found, list):
        (found,) = found
    assert found == bottom


def test_text_that_is_no_utf8_in_a_value_costs_only_its_letters():
    """Some SDKs cut text in the middle of a letter; the rest of the request is as good as ever."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="cut")
    span.attributes.add(key="text").value.string_value = "price: €"
    body = request.SerializeToString().replace("€".encode(), b"\xe2\x82!")
    ((_, (read,)),) = otlp_protobuf.read_spans(body)
    assert read.attributes == {"text": "price: �!"}


@pytest.mark.parametrize("value", ["12a", "--5", "9" * 30, "١٢"])
def test_a_64_bit_integer_in_json_is_digits(value: str):
    """Text that is no such number makes the span unreadable; it is no guess."""
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": value}]}]}]}).encode()
    ((_, (read,)),) = otlp_json.read_spans(body)
    assert read == Unreadable(f'{value!r} is not a 64-bit integer; write it like "1700000000000000000"')
