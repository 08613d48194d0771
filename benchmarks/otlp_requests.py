"""What the benchmarks of receiving send: OTLP requests of agents' runs in OpenInference's names, and of conversations in GenAI's."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["SENT", "SPANS_PER_REQUEST", "conversations", "runs"]

SPANS_PER_REQUEST = 500
"""Of agents' runs."""
_SPANS_PER_TRACE = 10
_CALLS, _CONVERSATIONS_PER_REQUEST = 12, 10
_CHARACTERS, _ASKED, _ANSWERED, _RESULT = 14_000, 340, 450, 1_020
"""Of messages in a call of a conversation, on the average; of what somebody asked, a model answered, a tool said."""
_TEXT = " ".join(["the planner asks the coder for a function that merges two sorted lists"] * 14)[:1000]
_WORDS = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=3 + n % 7)) for n in range(3_000)]


def _set(span: Span, **attributes: Any) -> None:
    for key, value in attributes.items():
        field = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(span.attributes.add(key=key.replace("__", ".")).value, field, value)


def _trace(draw: random.Random, start_ns: int) -> Iterator[Span]:
    """An agent's run: a root, three agents, three model calls, three tool calls."""
    trace_id = draw.randbytes(16)
    ids = [draw.randbytes(8) for _ in range(_SPANS_PER_TRACE)]
    for index, span_id in enumerate(ids):
        kind = "CHAIN" if index == 0 else ("AGENT", "LLM", "TOOL")[(index - 1) % 3]
        parent = b"" if index == 0 else ids[0] if kind == "AGENT" else ids[index - 1 - (kind == "TOOL")]
        begin = start_ns + index * 2_000_000
        span = Span(
            trace_id=trace_id, span_id=span_id, parent_span_id=parent, name=f"{kind.lower()} {index}", kind=1,
            start_time_unix_nano=begin, end_time_unix_nano=begin + draw.randrange(1_000_000, 900_000_000),
        )  # fmt: skip
        _set(span, openinference__span__kind=kind, session__id=f"session-{draw.randrange(500)}", user__id="u1")
        _set(span, input__value=_TEXT[:200], input__mime_type="text/plain", output__value=_TEXT[200:400])
        _set(span, metadata='{"langgraph_step": 3}', tag__tags="bench", graph__node__id=f"node-{index % 4}")
        if kind == "LLM":
            _set(span, llm__model_name=draw.choice(("gpt-4o", "gpt-4o-mini", "o3")), llm__provider="openai")
            _set(span, llm__token_count__prompt=draw.randrange(100, 2000), llm__token_count__completion=50)
            _set(span, llm__token_count__total=150, llm__invocation_parameters='{"temperature": 0.2}')
            span.attributes.add(key="llm.input_messages.0.message.role").value.string_value = "user"
            span.attributes.add(key="llm.input_messages.0.message.content").value.string_value = _TEXT
        elif kind == "TOOL":
            _set(span, tool__name=f"tool-{index}", tool__description="looks something up", tool__parameters="{}")
            _set(span, tool__id=f"call-{index}", agent__name=f"agent-{index % 3}", exit__code=0)
        else:
            _set(span, agent__name=f"agent-{index % 3}", framework="langgraph", step=index, retries=0, score=0.5)
        yield span


def _said(draw: random.Random, characters: int) -> str:
    """So many characters of words."""
    return " ".join(draw.choices(_WORDS, k=characters // 4))[:characters]  # the shortest have three letters and a space


def _message(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def _messages(draw: random.Random) -> Iterator[tuple[str, str]]:
    """What each call of a conversation was given and answered, as JSON: ``_CHARACTERS`` of both on the average."""
    instruction = {"type": "text", "content": ""}
    said = [
        _message("system", instruction),
        _message("user", {"type": "text", "content": _said(draw, _ASKED)}),
    ]
    for number in range(_CALLS):
        call = {
            "type": "tool_call",
            "id": f"call-{number}",
            "name": f"tool-{number % 4}",
            "arguments": {"step": number},
        }
        said.append(_message("assistant", {"type": "text", "content": _said(draw, _ANSWERED)}, call))
        response = f"{draw.randbytes(6).hex()}\n{_said(draw, _RESULT)}"
        said.append(_message("tool", {"type": "tool_call_response", "id": call["id"], "response": response}))
    asked, answers = [said[: 2 + 2 * number] for number in range(_CALLS)], [[each] for each in said[2::2]]
    without = sum(len(json.dumps(each)) for each in asked + answers)
    instruction["content"] = _said(draw, _CHARACTERS - without // _CALLS)
    return zip(map(json.dumps, asked), map(json.dumps, answers), strict=True)


def _conversation(draw: random.Random, start_ns: int) -> Iterator[Span]:
    """A run of twelve calls of one agent, which uses tools; each call has all messages before it."""
    trace_id, root = draw.randbytes(16), draw.randbytes(8)
    for number, (asked, answered) in enumerate(_messages(draw)):
        begin = start_ns + number * 2_000_000
        span = Span(
            trace_id=trace_id, span_id=draw.randbytes(8) if number else root, parent_span_id=root if number else b"",
            name="chat gpt-4o", kind=3, start_time_unix_nano=begin, end_time_unix_nano=begin + draw.randrange(10**6, 9 * 10**8),
        )  # fmt: skip
        _set(span, gen_ai__operation__name="chat", gen_ai__provider__name="openai", gen_ai__request__model="gpt-4o")
        _set(
            span,
            gen_ai__usage__input_tokens=draw.randrange(100, 9000),
            gen_ai__usage__output_tokens=draw.randrange(200),
        )
        _set(span, gen_ai__conversation__id=f"session-{trace_id.hex()[:8]}", gen_ai__agent__name="planner")
        _set(span, gen_ai__input__messages=asked, gen_ai__output__messages=answered)
        yield span


def _requests(
    spans: int, seed: int, scope: str, trace: Callable[[random.Random, int], Iterator[Span]], each: int, together: int
) -> list[bytes]:
    """So many ``spans``, in traces of ``each`` that begin a minute ago, so many traces ``together`` in a request."""
    draw = random.Random(seed)
    start_ns = time.time_ns() - 60_000_000_000
    made = []
    for number in range(0, spans, each * together):
        request = ExportTraceServiceRequest()
        scoped = request.resource_spans.add().scope_spans.add()
        scoped.scope.name = scope
        for offset in range(0, each * together, each):
            scoped.spans.extend(trace(draw, start_ns + (number + offset) * 100_000))
        made.append(request.SerializeToString())
    return made


def runs(spans: int, seed: int) -> list[bytes]:
    """OTLP requests of agents' runs."""
    scope = "openinference.instrumentation.langchain"
    return _requests(spans, seed, scope, _trace, _SPANS_PER_TRACE, SPANS_PER_REQUEST // _SPANS_PER_TRACE)


def conversations(spans: int, seed: int) -> list[bytes]:
    """OTLP requests of conversations; a run's calls come together."""
    return _requests(spans, seed, "bench", _conversation, _CALLS, _CONVERSATIONS_PER_REQUEST)


SENT: dict[str, Callable[[int, int], list[bytes]]] = {"runs": runs, "conversations": conversations}
"""By what a product says that it is sent."""
