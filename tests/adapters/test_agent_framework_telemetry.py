"""What Agent Framework sends by OpenTelemetry itself is neither doubled by us nor lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agent_framework import Agent, WorkflowBuilder
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_dev_squad_agent_framework import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where the spans of the application's own provider arrive, the framework's among them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def name_of(span: ReadableSpan) -> str:
    """A span's name without what is random in it."""
    return span.name.partition("(")[0]


@pytest.mark.parametrize("stream", [False, True])
async def test_its_spans_nest_inside_ours(
    captured: Captured, theirs: InMemorySpanExporter, serve: Serve, agent_framework_chat: Chat, stream: bool
) -> None:
    """One trace, each of its spans inside of our operation of the same work, or of another span of its own in there."""
    server = serve(tool_calls(call("look_up", word="a"), usage=tokens(9, 1)), reply("hi", usage=tokens(10, 1)))

    def look_up(word: str) -> str:
        return word

    clerk = Agent(agent_framework_chat(server), name="clerk", tools=[look_up])
    squad = observe(WorkflowBuilder(name="squad", start_executor=clerk).build())
    theirs.clear()  # building a workflow is a span of its own
    if stream:
        async for _ in squad.run("go", stream=True):
            pass
    else:
        await squad.run("go")

    spans = [span for span in theirs.get_finished_spans() if span.instrumentation_scope.name == "agent_framework"]
    ours = {line.span_id: f"{line.operation} {line.name}" for line in captured.opening()}
    parents = {
        (name_of(span), ours.get(f"{span.parent.span_id:016x}") if span.parent else None)
        for span in spans
        if span.parent is None or f"{span.parent.span_id:016x}" in ours
    }
    assert parents >= {
        ("workflow.run", "invoke_workflow squad"),
        ("executor.process clerk", "task clerk"),
        ("invoke_agent clerk", "invoke_agent clerk"),
        ("chat gpt-4o-mini", "chat gpt-4o-mini"),
        ("execute_tool look_up", "execute_tool look_up"),
    }
    assert None not in {parent for _, parent in parents}
    traces = {line.trace_id for line in captured.lines}
    assert {f"{span.context.trace_id:032x}" for span in spans} == traces
    assert len([span for span in spans if name_of(span).startswith("chat")]) == len(captured.closing("chat")) == 2
