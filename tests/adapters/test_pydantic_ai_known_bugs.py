"""Defects that users of other tools have reported about observing Pydantic AI, and that must not be ours.

Their tests stand where the behaviour is at home; this looks for one of each, and has those that have no other place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from ai_dev_squad_pydantic_ai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]

REPORTED = """
pydantic-ai#3995, pydantic-ai#8551, pydantic-ai#8368, pydantic-ai#1524, pydantic-ai#5291, pydantic-ai#1516,
pydantic-ai#7018, pydantic-ai#1147, pydantic-ai#1076, pydantic-ai#3439, pydantic-ai#3028, pydantic-ai#1434, opik#4716,
dd-trace-py#13795
"""


@pytest.mark.parametrize("reference", [reference.strip() for reference in REPORTED.split(",")])
def test_every_reported_defect_has_a_test(reference: str, tests_naming: Callable[[str, str], list[str]]) -> None:
    """The docstring of some test of this adapter names the report."""
    assert tests_naming("pydantic_ai", reference) != []


def agent_at(server: ModelServer, **options: Any) -> Agent[None, str]:
    """An agent with a tool, whose real client talks to the scripted server."""
    model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="sk-test"))
    agent = Agent(model, name="clerk", **options)

    @agent.tool_plain
    def look_up(word: str) -> str:
        return word

    return agent


async def test_one_tool_call_is_one_operation_beside_the_frameworks_own_spans(captured: Captured, serve: Serve) -> None:
    """With the framework's telemetry on, its spans go where the program sends them, once, within the same trace; and
    nothing of ours is there twice (pydantic-ai#1434).
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = Instrumentation(settings=InstrumentationSettings(tracer_provider=provider))
    server = serve(tool_calls(call("look_up", word="fig")), reply("done"))

    await observe(agent_at(server, capabilities=[own])).run("go")

    assert [line.operation for line in captured.closing()] == ["chat", "execute_tool", "chat", "invoke_agent"]
    theirs = exporter.get_finished_spans()
    assert sorted(str((span.attributes or {}).get("gen_ai.operation.name")) for span in theirs if
                  "gen_ai.operation.name" in (span.attributes or {})) == [
        "chat", "chat", "execute_tool", "invoke_agent"]  # fmt: skip
    (run,) = captured.closing("invoke_agent")
    assert {f"{span.context.trace_id:032x}" for span in theirs if span.context} == {run.trace_id}


async def test_usage_counts_once_where_an_agent_runs_in_another_frameworks_node(
    captured: Captured, serve: Serve
) -> None:
    """A LangGraph node that runs an agent, both observed: the request is counted by one of them (opik#4716)."""
    pytest.importorskip("ai_dev_squad_langgraph")  # which is not there where the framework is alone
    from langgraph.graph import END, START, StateGraph

    from ai_dev_squad_langgraph import observe as observe_graph

    server = serve(reply("done", usage=tokens(100, 10)))
    agent = observe(agent_at(server))

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        return {"answer": (await agent.run("go")).output}

    graph = StateGraph(dict)
    graph.add_node("ask", node)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    await observe_graph(graph.compile()).ainvoke({})

    assert [(line.framework, line.usage and line.usage.input_tokens) for line in captured.closing("chat")] == [
        ("pydantic_ai", 100)
    ]
    assert len({line.trace_id for line in captured.lines}) == 1
