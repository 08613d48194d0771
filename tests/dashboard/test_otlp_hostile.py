"""Whatever is sent: never an internal error, never a hang, never a row that the store could not take."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from concurrent.futures import Future
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_dev_squad.genai.foreign_names import KINDS, LISTS, NAMES
from ai_dev_squad.schema import Status, UsageSource
from ai_dev_squad_dashboard.ingest.otlp import create_blueprint
from ai_dev_squad_dashboard.ingest.otlp_receive import SIGNALS
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, MetricRow, SpanRow

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
LONGEST = 65_536
OPERATIONS = {
    *("invoke_workflow", "invoke_agent", "task", "execute_tool", "chat", "text_completion", "generate_content"),
    *("embeddings", "retrieval", "plan", "guardrail", "other"),
}  # fmt: skip


def check(batch: Batch) -> None:
    """Every row holds what its type says, within bounds, encodes as UTF-8, and its details are JSON."""
    for row in (*batch.spans, *batch.logs, *batch.metrics):
        for (name, hint), value in zip(get_type_hints(type(row)).items(), row, strict=True):
            if get_origin(hint) is tuple:
                assert all(isinstance(each, get_args(hint)[0]) for each in value), (name, value)
                continue
            kinds = tuple(kind for kind in (get_args(hint) or (hint,)) if isinstance(kind, type))
            literal = not kinds or "Literal" in str(hint)
            assert isinstance(value, (str, type(None)) if literal else kinds), (name, value)
            if isinstance(value, str):
                value.encode()
                assert len(value) <= LONGEST, name
            elif isinstance(value, int):
                assert -(1 << 63) <= value < 1 << 63, name
            elif isinstance(value, float):
                assert math.isfinite(value), name
        if row[-1] is not None and not isinstance(row, SpanRow):
            msgspec.json.decode(row.details)
    for span in batch.spans:
        assert (len(span.trace_id), len(span.span_id)) == (32, 16)
        assert span.operation in OPERATIONS
        assert span.status in get_args(Status)
        assert span.usage_source in (None, *get_args(UsageSource))
        assert span.start_us >= 0
        assert span.duration_us >= 0
        assert isinstance(msgspec.json.decode(span.details or b"{}"), dict)


class Sink:
    def __init__(self) -> None:
        app = Flask(__name__)
        app.register_blueprint(create_blueprint(self.submit, DashboardSettings(max_request_mib=1)))
        self.client = app.test_client()
        self.rows: list[SpanRow | LogRow | MetricRow] = []

    def submit(self, batch: Batch) -> Future[Written]:
        check(batch)
        self.rows = [*batch.spans, *batch.logs, *batch.metrics]
        done: Future[Written] = Future()
        done.set_result(Written(len(batch.spans), 0, 0))
        return done

    def post(self, signal: str, body: bytes, content_type: str, coding: str = "") -> int:
        """The status of the answer, which must be one that the specification knows."""
        headers = {"Content-Encoding": coding} if coding else {}
        answer = self.client.post(f"/v1/{signal}", data=body, content_type=content_type, headers=headers)
        assert answer.status_code in (200, 400, 413, 415), answer.data
        if answer.status_code == 200 and answer.mimetype == "application/json":
            json.loads(answer.data)
        return answer.status_code


SINK = Sink()

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\x1b\u202e\ufeff<>&\"'{[%"), max_size=60)
IDS = st.sampled_from(["", "0" * 32, "a" * 32, "B" * 16, "b" * 15, "xyz", "\uff41" * 16, "a" * 10_000]) | TEXT
NUMBERS = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "", "1e5", "-0", "9" * 25, 1 << 63, (1 << 64) - 1]),
    TEXT,
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
KNOWN_NAMES = sorted(
    {*NAMES, *KINDS}
    | {f"{prefix}{index}.{rest}" for prefix in LISTS for index in ("0", "7", "99999", "-1") for rest in ("role", "message.content", "x.0.y")}
    | {"gen_ai.input.messages", "gen_ai.output.messages", "ai_dev_squad.framework", "ai_dev_squad.status", "error.type"}
    | {"ai_dev_squad.usage.source", "ai_dev_squad.cost.usd", "gen_ai.usage.cost.currency", "langfuse.observation.usage_details"}
    | {"gen_ai.operation.name", "gen_ai.usage.input_tokens", "gen_ai.response.time_to_first_chunk", "metadata"}
)  # fmt: skip
KNOWN_VALUES = sorted(
    {value for kinds in KINDS.values() for value in kinds} | {"[", "{}", '[{"role": 5}]', '"', "ok", "NaN"}
)
ANY_VALUES: Any = st.deferred(
    lambda: st.one_of(
        st.fixed_dictionaries({"stringValue": st.sampled_from(KNOWN_VALUES) | TEXT}),
        st.fixed_dictionaries({"intValue": st.integers(-10, 1 << 62) | st.integers(0, 99).map(str)}),
        st.fixed_dictionaries({"doubleValue": st.floats(width=32).filter(math.isfinite) | st.sampled_from(["NaN", "Infinity"])}),
        st.fixed_dictionaries({"boolValue": st.booleans()}),
        st.fixed_dictionaries({"bytesValue": TEXT}),
        st.fixed_dictionaries({"arrayValue": st.fixed_dictionaries({"values": st.lists(ANY_VALUES, max_size=3)})}),
        st.just({}),
    )
)  # fmt: skip
PAIRS = st.lists(st.fixed_dictionaries({"key": st.sampled_from(KNOWN_NAMES) | TEXT, "value": ANY_VALUES}), max_size=12)
TIMES = st.integers(0, (1 << 64) - 1) | st.integers(10**17, 10**18).map(str) | st.just("1700000000000000000")
MOSTLY = {
    good: st.integers(0, 7).flatmap(lambda dice, good=good, other=other: other if dice == 0 else st.just(good))
    for good, other in {
        "a" * 32: IDS,
        "b" * 16: IDS,
        "c" * 16: IDS,
        "1700000000000000000": TIMES,
        "1700000001000000000": TIMES,
    }.items()
}


@st.composite
def plausible_spans(draw: Any) -> dict[str, Any]:
    """Spans that are valid as a whole, with anything in them."""
    return {
        "traceId": draw(MOSTLY["a" * 32]),
        "spanId": draw(MOSTLY["b" * 16]),
        "parentSpanId": draw(MOSTLY["c" * 16]),
        "name": draw(TEXT),
        "kind": draw(st.integers(-5, 9)),
        "startTimeUnixNano": draw(MOSTLY["1700000000000000000"]),
        "endTimeUnixNano": draw(MOSTLY["1700000001000000000"]),
        "attributes": draw(PAIRS),
        "events": draw(st.lists(st.fixed_dictionaries({"name": TEXT, "attributes": PAIRS, "timeUnixNano": TIMES}), max_size=2)),
        "links": draw(st.lists(st.fixed_dictionaries({"traceId": IDS, "spanId": IDS, "attributes": PAIRS}), max_size=2)),
        "status": {"code": draw(st.integers(0, 3)), "message": draw(TEXT)},
    }  # fmt: skip


@settings(max_examples=60)
@given(st.lists(plausible_spans(), max_size=3), PAIRS, TEXT)
def test_spans_with_anything_in_them_are_stored_or_rejected(spans: list[Any], resource: list[Any], scope: str):
    """Known attributes with values of any kind become rows that hold what their types say."""
    of_scope = {"scope": {"name": scope}, "spans": spans}
    body = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [of_scope]}]}
    assert SINK.post("traces", json.dumps(body).encode(), "application/json") == 200


@settings(max_examples=80)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "timeUnixNano": TIMES,
                "severityNumber": st.integers(-5, 99),
                "severityText": TEXT,
                "body": ANY_VALUES,
                "attributes": PAIRS,
                "eventName": TEXT,
                "traceId": IDS,
            }
        ),
        max_size=3,
    )
)
def test_log_records_with_anything_in_them_are_stored(records: list[Any]):
    """Also those without time, level, body or event name."""
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    assert SINK.post("logs", json.dumps(body).encode(), "application/json") == 200


@settings(max_examples=80)
@given(st.sampled_from(SIGNALS), JSON_VALUES)
@example("traces", {"resourceSpans": [None]})
@example("traces", {"resourceSpans": [{"scopeSpans": [{"spans": [None]}]}]})
@example("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"arrayValue": {"values": [None]}}}]}]}]})
@example(
    "metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "x", "sum": {"dataPoints": [{}]}}]}]}]}
)
def test_any_json_is_taken_or_refused(signal: str, value: Any):
    """Documents of any shape, under the names that are looked for as well."""
    for document in (value, {f"resource{name}": value for name in ("Spans", "Logs", "Metrics")}):
        SINK.post(signal, json.dumps(document).encode(), "application/json")


@settings(max_examples=80)
@given(st.sampled_from(SIGNALS), st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(signal: str, body: bytes):
    """As protobuf and as JSON."""
    SINK.post(signal, body, "application/x-protobuf")
    SINK.post(signal, body, "application/json")


def valid_body(signal: str) -> bytes:
    """A request with something in every corner."""
    from google.protobuf.json_format import ParseDict

    pairs = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "300"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"doubleValue": 0.5}, {"boolValue": True}]}}},
    ]
    span = {
        "traceId": "YWFhYWFhYWFhYWFhYWFhYQ==", "spanId": "YmJiYmJiYmI=", "name": "x", "startTimeUnixNano": "5",
        "endTimeUnixNano": "9", "attributes": pairs, "events": [{"name": "e", "attributes": pairs}],
    }  # fmt: skip
    point = {"timeUnixNano": "5", "attributes": pairs}
    parts = {
        "traces": {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]},
        "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": pairs[2]["value"], "attributes": pairs}]}]}]},
        "metrics": {
            "resourceMetrics": [
                {
                    "scopeMetrics": [
                        {
                            "metrics": [
                                {"name": "s", "sum": {"dataPoints": [{**point, "asInt": "5"}]}},
                                {"name": "h", "histogram": {"dataPoints": [{**point, "bucketCounts": ["1"]}]}},
                                {"name": "e", "exponentialHistogram": {"dataPoints": [point]}},
                                {"name": "q", "summary": {"dataPoints": [point]}},
                            ]
                        }
                    ]
                }
            ]
        },
    }
    return bytes(ParseDict(parts[signal], REQUESTS[signal]()).SerializeToString())


BODIES = {signal: valid_body(signal) for signal in SIGNALS}


@settings(max_examples=80)
@given(
    st.sampled_from(SIGNALS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_a_valid_request_with_broken_bytes_is_taken_or_refused(signal: str, changes: list[tuple[int, int]], cut: int):
    """Flipped and missing bytes, as a broken sender or an attacker would send them."""
    body = bytearray(BODIES[signal])
    for position, value in changes:
        body[position % len(body)] = value
    SINK.post(signal, bytes(body[: len(body) - cut % len(body)]), "application/x-protobuf")


@settings(max_examples=80)
@given(
    st.sampled_from(["gzip", "deflate", "GZIP", "x-gzip", "br", "gzip, gzip", "\u00e9", " ", "identity"]),
    st.sampled_from([gzip.compress, zlib.compress, bytes]),
    st.binary(max_size=100),
    st.integers(0, 60),
    st.sampled_from(["application/json", "application/x-protobuf", 'application/json; x="', "text/html", "a/b/c"]),
)  # fmt: skip
def test_any_packing_and_any_headers_are_taken_or_refused(coding, pack, body, cut, content_type):
    """Bodies that are cut off, packed otherwise than they say, or of an unheard-of type."""
    packed = pack(body)
    SINK.post("traces", packed[: len(packed) - cut % (len(packed) + 1)], content_type, coding)


@pytest.mark.parametrize("coding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_bomb_costs_no_memory(coding, pack):
    """A hundred MiB of zeros in a hundred kB are refused after one MiB of them."""
    import tracemalloc

    bomb = pack(bytes(100 << 20))
    tracemalloc.start()
    status = SINK.post("traces", bomb, "application/x-protobuf", coding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert status == 413
    assert peak < 8 << 20


def test_many_packed_pieces_are_no_way_around_the_limit():
    """The limit counts all members of a gzip body together, and empty ones cost next to nothing."""
    assert SINK.post("traces", gzip.compress(bytes(600_000)) * 2, "application/x-protobuf", "gzip") == 413
    assert SINK.post("traces", gzip.compress(b"") * 20_000, "application/x-protobuf", "gzip") == 200
