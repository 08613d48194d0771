"""Whatever numbers and times one sender states, by whichever way they come in: every page and every route answers."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import Running, running
from ai_dev_squad_dashboard.ingest.journal import JournalTail
from ai_dev_squad_dashboard.ingest.otlp import receiver
from ai_dev_squad_dashboard.ingest.otlp_grpc import start_grpc_server
from ai_dev_squad_dashboard.ingest.plausible import LONGEST_US, MOST_TOKENS, MOST_USD
from ai_dev_squad_dashboard.store import Selection, open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

SECOND_NS = 10**9
NOW_NS = time.time_ns() - 60 * SECOND_NS
FIXED = {"trace_id": "a" * 32, "span_id": "b" * 16, "session_id": "stated", "filename": "js/page.js"}
EVER = Selection(start_us=0, end_us=1 << 60)


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """A dashboard in memory, into which all tests of this file send."""
    app = create_app(DashboardSettings(db=Path("dashboard.duckdb")), store=open_memory_store(), follow=False)
    yield app
    running(app).close()


def held(app: Flask) -> Running:
    return running(app)


def number(value: float | str) -> dict[str, Any]:
    """An OTLP value, as its type asks for."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {
        "doubleValue": value if math.isfinite(value) else str(value).replace("nan", "NaN").replace("inf", "Infinity")
    }


def call(
    number_: int, stated: dict[str, Any], start_ns: int = NOW_NS, end_ns: int = NOW_NS + SECOND_NS
) -> dict[str, Any]:
    """A model call with what its sender states of it."""
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    return {
        "traceId": FIXED["trace_id"] if number_ == 0 else f"{number_ + 1:032x}",
        "spanId": FIXED["span_id"],
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(end_ns),
        "attributes": [
            {"key": key, "value": number(value)}
            for key, value in {**attributes, "gen_ai.conversation.id": FIXED["session_id"], **stated}.items()
        ],
        "events": [{"name": "late", "timeUnixNano": str(2**64 - 1)}],
    }  # fmt: skip


def request(spans: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def send(app: Flask, spans: list[dict[str, Any]]) -> dict[str, Any]:
    """As OTLP/JSON; what the answer says was not taken."""
    answer = app.test_client().post("/v1/traces", json=request(spans))
    assert answer.status_code == 200, answer.text
    partial: dict[str, Any] = answer.get_json().get("partialSuccess", {})
    return partial


def routes(app: Flask) -> list[str]:
    """Every path that a GET answers, of what was sent."""
    adapter = app.url_map.bind("localhost")
    return [
        adapter.build(rule.endpoint, {name: FIXED.get(name, "none") for name in rule.arguments}) + "?from=1970-01-01"
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(("/login", "/static", "/socket.io"))
    ]


def failing(app: Flask) -> dict[str, str]:
    """Routes that fail, with what they say."""
    client = app.test_client()
    answers = {path: client.get(path) for path in routes(app)}
    return {path: answer.text[:300] for path, answer in answers.items() if answer.status_code >= 500}


def test_counts_beyond_any_call_are_unknown_and_no_sum_overflows(app: Flask):
    """1,025 calls with 2**53 - 1 tokens would be a sum beyond 64 bits: the counts are unknown, and their calls say why."""
    spans = [call(index, {"gen_ai.usage.input_tokens": str(2**53 - 1)}) for index in range(1025)]
    assert send(app, spans) == {}
    row = held(app).store.trace(spans[-1]["traceId"]).spans[0]  # type: ignore[union-attr]
    assert (row.input_tokens, row.usage_source, row.cost_usd, row.cost_reason) == (
        None,
        "missing",
        None,
        "the sender states 9007199254740991 tokens; no model call has more than 100,000,000",
    )


def test_times_of_a_clock_that_was_never_set_are_refused_and_told(app: Flask):
    """6,000 spans from 1970 to today would last 336,000 years: each is rejected, and so is one that lasts years."""
    spans = [call(index, {}, start_ns=1, end_ns=NOW_NS) for index in range(6000)]
    spans.append(call(6000, {}, start_ns=NOW_NS - 2 * LONGEST_US * 1000, end_ns=NOW_NS))
    assert send(app, spans) == {
        "rejectedSpans": "6001",
        "errorMessage": "a span's times are before the year 2000; set the sender's clock; a span lasts more than a year",
    }


def test_sums_of_an_older_file_that_are_beyond_64_bits_are_as_large_as_can_be():
    """What came in before there were bounds: pages answer, and the sum is the largest number instead of an error."""
    store = open_memory_store()
    row = SpanRow(
        "a" * 32, "b" * 16, None, 10**15, 2**62, "gpt-4o", "chat", input_tokens=2**62, usage_source="provider"
    )
    store.write(Batch(spans=[row._replace(span_id=f"{index + 1:016x}") for index in range(4)]))
    totals = store.totals(EVER)
    assert (totals.calls, totals.input_tokens) == (4, 2**63 - 1)
    assert store.timeline(EVER, 86_400_000_000)[0].input_tokens == 2**64
    store.close()


STATED = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, MOST_TOKENS, MOST_TOKENS + 1, 2**53, 2**63 - 1, -1]),
    st.floats(),
    st.sampled_from(["9" * 40, "-1", "1e999", "NaN", "0x10", " 1"]),
)
NAMES = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.cost",
    "ai_dev_squad.cost.usd", "gen_ai.response.time_to_first_chunk", "ai_dev_squad.attempt",
)  # fmt: skip
TIMES = st.integers(0, 2**64 - 1) | st.sampled_from([1, NOW_NS, NOW_NS - LONGEST_US * 1000, NOW_NS + 3600 * SECOND_NS])
CALLS = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(NAMES), STATED, max_size=4), TIMES, TIMES), min_size=1, max_size=6
)
WORST = [(dict.fromkeys(NAMES, value), NOW_NS, NOW_NS + SECOND_NS) for value in (2**63 - 1, 1e308, "9" * 40, -1)]


@settings(max_examples=30)
@given(CALLS)
def test_whatever_is_stated_over_http_stands_in_sums_that_a_page_can_say(app: Flask, stated: list[Any]):
    """Any counts, amounts and times are stored as they can be, or rejected; each call adds at most what a call can have."""
    before = held(app).store.totals(EVER)
    first = before.spans + 2000
    send(app, [call(first + index, *each) for index, each in enumerate([*stated, *WORST])])
    after = held(app).store.totals(EVER)
    assert after.input_tokens - before.input_tokens <= len(stated) * MOST_TOKENS
    assert after.cost_usd - before.cost_usd <= len(stated) * MOST_USD


def test_every_route_answers_whatever_was_stated(app: Flask, tmp_path: Path):
    """The worst that can be stated, by all other ways in, beside all that the tests above have sent."""
    pytest.importorskip("grpc")
    import grpc
    from google.protobuf.json_format import ParseDict

    queue = held(app).queue
    spans = [call(9500 + index, *each) for index, each in enumerate(WORST)]
    for span in spans:
        span["traceId"], span["spanId"] = "qqqqqqqqqqqqqqqqqqqqqg==", "u7u7u7u7u7s="
    body = ParseDict(request(spans), ExportTraceServiceRequest()).SerializeToString()
    server = start_grpc_server(queue.submit, DashboardSettings(), 0, into=receiver(queue.submit))
    with grpc.insecure_channel(f"127.0.0.1:{server.bound_port}") as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert export(body) == b""
    server.stop(0).wait()

    line = {
        "event_type": "llm.response", "level": "INFO", "message": "answered", "operation": "chat", "status": "ok", "name": "gpt-4o",
        "framework": "langgraph", "trace_id": "d" * 32, "span_id": "e" * 16, "session_id": FIXED["session_id"],
        "usage": {"input_tokens": 2**63 - 1, "output_tokens": -5, "source": "provider"},
        "cost": {"usd": 1e308}, "duration_ms": 1e300, "metadata": {"gen_ai.response.time_to_first_chunk": 1e300},
    }  # fmt: skip
    lines = [
        {**line, "timestamp": at, "span_id": f"{index + 1:016x}"}
        for index, at in enumerate(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-01T00:00:00Z"])
    ]
    told = "telemetry.coverage", "budget.alert", "loop.detected"
    lines += [
        {**line, "event_type": kind, "operation": None, "status": None, "timestamp": "2026-11-01T00:00:00Z",
         "metadata": dict.fromkeys(("seen", "captured", "unobserved", "cost_usd", "limit_usd", "threshold", "dropped"), 1e300)}
        for kind in told
    ]  # fmt: skip
    (tmp_path / "ai_dev_squad.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert JournalTail([tmp_path], queue).catch_up() == len(lines)

    logs = [{"timeUnixNano": str(2**64 - 1), "eventName": kind, "severityNumber": 2**31 - 1} for kind in told]
    points = [{"timeUnixNano": str(NOW_NS), "asDouble": 1e308, "count": str(2**64 - 1), "sum": -1e308}] * 3
    client = app.test_client()
    assert client.post("/v1/logs", json={"resourceLogs": [{"scopeLogs": [{"logRecords": logs}]}]}).status_code == 200
    metrics = [{"name": "m", "sum": {"dataPoints": points}}, {"name": "h", "histogram": {"dataPoints": points}}]
    assert (
        client.post("/v1/metrics", json={"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).status_code
        == 200
    )
    assert failing(app) == {}
