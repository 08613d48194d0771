"""What reading one OTLP span costs: from the body of a request to the row that the store takes, details and price included.

Each request holds 500 model calls of some 18 attributes and a kilobyte of messages. For comparison: parsing the same
protobuf with OpenTelemetry's own classes and walking its attributes, without translating anything.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import environments
from report import Report, Target, main
from worker import in_turns, serve

SPANS = 500
_TEXT = " ".join(["the planner asks the coder for a function that merges two sorted lists"] * 14)[:1000]
_LIMIT_US = 30.0
_VARIANTS = (
    "GenAI, protobuf",
    "GenAI, JSON",
    "OpenInference, protobuf",
    "OpenInference, JSON",
    "OpenTelemetry's classes",
)


def _genai(draw: random.Random) -> dict[str, Any]:
    asked = [{"role": "user", "parts": [{"type": "text", "content": _TEXT[:700]}]}]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": _TEXT[700:]}], "finish_reason": "stop"}]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": draw.choice(("gpt-4o", "gpt-4o-mini", "o3")),
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": f"chatcmpl-{draw.randrange(1 << 48):x}",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.conversation.id": f"session-{draw.randrange(500)}",
        "gen_ai.agent.name": f"agent-{draw.randrange(4)}",
        "gen_ai.usage.input_tokens": draw.randrange(100, 4000),
        "gen_ai.usage.output_tokens": draw.randrange(1, 500),
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.input.messages": json.dumps(asked),
        "gen_ai.output.messages": json.dumps(said),
        "user.id": f"user-{draw.randrange(100)}",
    }


def _openinference(draw: random.Random) -> dict[str, Any]:
    return {
        "openinference.span.kind": "LLM",
        "session.id": f"session-{draw.randrange(500)}",
        "user.id": f"user-{draw.randrange(100)}",
        "input.value": _TEXT[:200],
        "input.mime_type": "text/plain",
        "output.value": _TEXT[200:400],
        "metadata": '{"langgraph_step": 3}',
        "llm.model_name": draw.choice(("gpt-4o", "gpt-4o-mini", "o3")),
        "llm.provider": "openai",
        "llm.token_count.prompt": draw.randrange(100, 4000),
        "llm.token_count.completion": draw.randrange(1, 500),
        "llm.token_count.total": 4500,
        "llm.token_count.prompt_details.cache_read": 64,
        "llm.invocation_parameters": '{"temperature": 0.2}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": _TEXT[:700],
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": _TEXT[700:],
    }


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}


def _request(attributes: Callable[[random.Random], dict[str, Any]]) -> dict[str, Any]:
    draw = random.Random(1)
    now_ns = time.time_ns() - 60_000_000_000
    spans = [
        {
            "traceId": f"{draw.randrange(1, 1 << 128):032x}",
            "spanId": f"{draw.randrange(1, 1 << 64):016x}",
            "parentSpanId": f"{draw.randrange(1, 1 << 64):016x}",
            "name": "chat gpt-4o-mini",
            "kind": 3,
            "startTimeUnixNano": str(now_ns + number * 1_000_000),
            "endTimeUnixNano": str(now_ns + number * 1_000_000 + 700_000_000),
            "attributes": [{"key": key, "value": _value(value)} for key, value in attributes(draw).items()],
        }
        for number in range(SPANS)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bench"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "bench"}, "spans": spans}]}]}


def _protobuf(request: dict[str, Any]) -> bytes:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ParseDict(request, ExportTraceServiceRequest())
    # This parser takes ids for base64; ids of the right length cost as much as real ones.
    for spans in message.resource_spans[0].scope_spans:
        for number, span in enumerate(spans.spans):
            span.trace_id, span.span_id, span.parent_span_id = b"t" * 16, number.to_bytes(8, "big"), b"p" * 8
    return bytes(message.SerializeToString())


def genai_request() -> bytes:
    """A request of ``SPANS`` model calls, in protobuf."""
    return _protobuf(_request(_genai))


def _walk(body: bytes) -> int:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = 0
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                attributes = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
                found += len(attributes) > 0
    return found


def _subject(name: str) -> Callable[[], int]:
    request = _request(_openinference if name.startswith("OpenInference") else _genai)
    if name == "OpenTelemetry's classes":
        body = _protobuf(request)
        return lambda: _walk(body)
    from concurrent.futures import Future

    from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
    from ai_dev_squad_dashboard.store.base import Written
    from ai_dev_squad_dashboard.store.rows import Batch

    stored = [0]

    def submit(batch: Batch) -> Future[Written]:
        stored[0] = len(batch.spans)
        done: Future[Written] = Future()
        done.set_result(Written(len(batch.spans), 0, 0))
        return done

    receiver = Receiver(submit)
    is_json = name.endswith("JSON")
    body = json.dumps(request).encode() if is_json else _protobuf(request)

    def receive() -> int:
        receiver.receive("traces", "json" if is_json else "protobuf", body)
        return stored[0]

    return receive


def _work(name: str) -> None:
    """Read the same request over and over; the processor's time says what it costs, whoever else is at work."""
    receive = _subject(name)

    def run(seconds: float) -> dict[str, Any]:
        spans, started, until = 0, time.thread_time(), time.perf_counter() + seconds
        while time.perf_counter() < until:
            spans += receive()
        used = time.thread_time() - started
        versions = environments.versions("ai-dev-squad-dashboard", "msgspec", "protobuf", "opentelemetry-proto")
        return {"us": used / spans * 1e6, "versions": versions}

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Alternate repetitions of all encodings and names."""
    repetitions, seconds = (2, 0.1) if options.quick else (9, 0.5)
    report = Report(
        title="Reading OTLP",
        how=f"{SPANS} model calls a request; microseconds of processor time a span, median of {repetitions} interleaved "
        f"repetitions of {seconds:g} s.",
        columns={"names and encoding": "", "us/span": ".1f", "best us/span": ".1f", "spans/s on one core": ",.0f"},
    )
    python = environments.python_of(environments.OURS)
    assert python is not None
    answers = in_turns(python, __file__, _VARIANTS, repetitions, seconds=seconds)
    for name in answers:
        us = median(answer["us"] for answer in answers[name])
        best = min(answer["us"] for answer in answers[name])
        report.used(answers[name][0]["versions"])
        report.rows.append(
            {"names and encoding": name, "us/span": us, "best us/span": best, "spans/s on one core": 1e6 / us}
        )
        if name != "OpenTelemetry's classes":
            report.targets.append(Target(f"{name}: at most {_LIMIT_US:g} us", f"{us:.1f} us", us <= _LIMIT_US))
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)
