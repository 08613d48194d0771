"""What Agent Framework sends by OpenTelemetry itself is neither doubled by us nor lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agent_framework import Agent, ContextProvider, WorkflowBuilder
from agent_framework.observability import OBSERVABILITY_SETTINGS
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
    """One trace, each of its spans inside of our operation of the same work, or of another span of its own in there.

    Only a model call's is around ours, right inside of its agent's, as it is unobserved: it writes there what it learns of the agent.
    """
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
        ("execute_tool look_up", "execute_tool look_up"),
    }
    assert None not in {parent for _, parent in parents}
    names = {span.context.span_id: name_of(span) for span in theirs.get_finished_spans()}
    chats = [span for span in spans if name_of(span) == "chat gpt-4o-mini"]
    assert [names[span.parent.span_id] for span in chats if span.parent] == ["invoke_agent clerk"] * 2
    traces = {line.trace_id for line in captured.lines}
    assert {f"{span.context.trace_id:032x}" for span in spans} == traces
    assert len([span for span in spans if name_of(span).startswith("chat")]) == len(captured.closing("chat")) == 2


class Etiquette(ContextProvider):
    """Adds to what the agent is told, when it runs."""

    async def before_run(self, *, context: Any, **_: Any) -> None:
        context.extend_instructions("etiquette", "Be kind.")


@pytest.mark.parametrize("stream", [False, True])
async def test_its_own_spans_say_what_they_say_unobserved(
    theirs: InMemorySpanExporter,
    serve: Serve,
    agent_framework_chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
) -> None:
    """With content switched on there, an agent's span has the instructions as its model got them, providers' additions included: a
    model call writes them to the span that it finds current.
    """
    monkeypatch.setattr(OBSERVABILITY_SETTINGS, "_enable_instrumentation", True)
    monkeypatch.setattr(OBSERVABILITY_SETTINGS, "_enable_sensitive_data", True)

    async def told(watched: Callable[[Any], Any]) -> list[Any]:
        server = serve(reply("hi", usage=tokens(10, 1)))
        clerk = Agent(
            agent_framework_chat(server), "You are the clerk.", name="clerk", context_providers=[Etiquette("e")]
        )
        theirs.clear()
        if stream:
            async for _ in watched(clerk).run("go", stream=True):
                pass
        else:
            await watched(clerk).run("go")
        own = [span for span in theirs.get_finished_spans() if span.instrumentation_scope.name == "agent_framework"]
        (span,) = [span for span in own if name_of(span) == "invoke_agent clerk"]
        return json.loads(str((span.attributes or {})["gen_ai.system_instructions"]))

    unobserved, observed = await told(lambda agent: agent), await told(observe)

    assert [part["content"] for part in unobserved] == ["You are the clerk.\nBe kind."]
    assert observed == unobserved
