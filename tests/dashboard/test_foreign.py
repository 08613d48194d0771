"""Spans of other instrumentations, as they were really sent: what they are, who did it, and that each call counts once.

The recordings under ``data`` were made by ``tools/record_foreign_spans.py``: one agent, two model calls, one tool call, 160
tokens of input, 32 of them cached, and 40 of output. Each file says which versions made it.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
from ai_dev_squad_dashboard.ingest.otlp_shapes import Origin, Span
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.ingest.translate import span_row
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

DATA = Path(__file__).parent / "data"
PRICES = Prices()


def received(name: str, *, one_by_one: bool = False) -> list[SpanRow]:
    """The rows of a recording, sent as one request or span by span."""
    batches: list[Batch] = []

    def submit(batch: Batch) -> Future[Written]:
        batches.append(batch)
        done: Future[Written] = Future()
        done.set_result(Written(len(batch.spans), 0, 0))
        return done

    receiver = Receiver(submit, PRICES)
    told = json.loads((DATA / name).read_text(encoding="utf-8"))
    for request in _split(told) if one_by_one else [told]:
        receiver.receive("traces", "json", json.dumps(request).encode())
    return [row for batch in batches for row in batch.spans]


def _split(told: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [
        (int(span["endTimeUnixNano"]), resource["resource"], scope["scope"], span)
        for resource in told["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    # Spans are sent as they end.
    return [
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]}
        for _, resource, scope, span in sorted(parts, key=lambda part: part[0])
    ]


def sums(rows: list[SpanRow]) -> tuple[int, int, int, int]:
    """Model calls, input tokens, cached ones, output tokens."""
    calls = [row for row in rows if row.usage_source is not None]
    return (
        len(calls),
        sum(row.input_tokens or 0 for row in calls),
        sum(row.cache_read_tokens or 0 for row in calls),
        sum(row.output_tokens or 0 for row in calls),
    )


COUNTED = [
    "openinference-langchain.langgraph.json",
    "openinference-langchain+openinference-openai.langgraph.json",
    "openllmetry-langchain.langgraph.json",
    "openinference-crewai.crewai.json",
    "openinference-crewai+openinference-openai.crewai.json",
    "openllmetry-crewai+openllmetry-openai.crewai.json",
    "crewai-native.crewai.json",
    "openllmetry-openai.autogen.json",
    "pydantic-ai-native.pydantic_ai.json",
]


@pytest.mark.parametrize("one_by_one", [False, True], ids=["in one request", "span by span"])
@pytest.mark.parametrize("name", COUNTED)
def test_calls_and_tokens_equal_the_truth(name: str, one_by_one: bool):
    """Two calls and 200 tokens were made; a second instrumentation and sums on agents add nothing."""
    assert sums(received(name, one_by_one=one_by_one)) == (2, 160, 32, 40)


@pytest.mark.parametrize(
    "name",
    [
        "logfire.openai.json",
        "openinference-autogen-agentchat+openinference-openai.autogen.json",
        "openinference-openai-agents.openai_agents.json",
    ],
)
def test_what_a_sender_leaves_out_is_unknown_but_the_rest_is_counted(name: str):
    """Logfire and OpenInference, for AutoGen and the OpenAI Agents SDK, do not tell cached tokens; calls and tokens are right
    all the same.
    """
    assert sums(received(name)) == (2, 160, 0, 40)


def test_autogen_alone_tells_no_model_calls():
    """AutoGen's own tracing has no spans of model calls, so nothing is counted, and nothing is invented."""
    assert sums(received("autogen-native.autogen.json")) == (0, 0, 0, 0)


def tree(rows: list[SpanRow]) -> list[tuple[str, str, str | None, str | None, str | None]]:
    """(operation, name, framework, agent, session) without spans that are nothing in particular."""
    return [
        (row.operation, row.name, row.framework, row.agent, row.session_id) for row in rows if row.operation != "other"
    ]


def test_openinference_on_langgraph_is_a_workflow_of_nodes_calls_and_a_tool():
    """The root chain is the workflow, other chains are tasks; the session is LangGraph's thread."""
    rows = received("openinference-langchain.langgraph.json")

    assert [row for row in tree(rows) if row[0] != "task"] == [
        ("chat", "gpt-4o-mini", "langgraph", None, "t-1"),
        ("invoke_agent", "agent", "langgraph", "agent", "t-1"),
        ("execute_tool", "weather", "langgraph", None, "t-1"),
        ("chat", "gpt-4o-mini", "langgraph", None, "t-1"),
        ("invoke_agent", "agent", "langgraph", "agent", "t-1"),
        ("invoke_workflow", "forecaster", "langgraph", None, "t-1"),
    ]
    call = next(row for row in rows if row.operation == "chat")
    details = json.loads(call.details or b"")
    assert (call.provider, call.model, call.tool, call.instrumentation) == (
        "openai",
        "gpt-4o-mini",
        None,
        "openinference.instrumentation.langchain",
    )
    assert details["input"] == [
        {"role": "system", "parts": [{"type": "text", "content": "You forecast."}]},
        {"role": "user", "parts": [{"type": "text", "content": "How warm is it in Paris?"}]},
    ]
    wanted = {"type": "tool_call", "id": "call_0_0_0", "name": "weather", "arguments": {"city": "Paris"}}
    assert details["output"] == [{"role": "assistant", "parts": [wanted]}]
    assert details["tools"][0]["function"]["name"] == "weather"
    assert not any(name.startswith(("llm.input_messages", "output.value")) for name in details["attributes"])
    assert details["attributes"]["llm.finish_reason"] == "tool_calls"
    assert "How warm is it in Paris?" in (call.text or "")


def test_pydantic_ais_own_spans_are_an_agent_its_calls_and_a_tool():
    """Its scope names the framework; the session is its conversation."""
    rows = received("pydantic-ai-native.pydantic_ai.json")

    (conversation,) = {row.session_id for row in rows}
    assert conversation
    assert tree(rows) == [
        ("chat", "gpt-4o-mini", "pydantic_ai", "forecaster", conversation),
        ("execute_tool", "weather", "pydantic_ai", "forecaster", conversation),
        ("chat", "gpt-4o-mini", "pydantic_ai", "forecaster", conversation),
        ("invoke_agent", "forecaster", "pydantic_ai", "forecaster", conversation),
    ]


def test_a_second_observer_keeps_its_span_and_points_to_the_one_that_counts():
    """LangChain's instrumentation and OpenAI's tell of the same call in two traces; one counts, the other says which."""
    rows = received("openinference-langchain+openinference-openai.langgraph.json")
    counted = [row for row in rows if row.usage_source is not None]
    others = [row for row in rows if row.cost_reason is not None]

    assert {row.framework for row in counted} == {"langgraph"}
    assert [(row.operation, row.model, row.input_tokens, row.cost_usd) for row in others] == [
        ("chat", None, None, None)
    ] * 2
    assert [row.cost_reason for row in others] == [
        f"this call counts on span {row.span_id} of trace {row.trace_id}, made by another instrumentation"
        for row in counted
    ]


def test_openllmetry_on_langgraph_names_agents_tasks_and_tools():
    """Traceloop's kinds decide; creating an agent is nothing in particular, and the framework is no provider."""
    rows = received("openllmetry-langchain.langgraph.json")

    assert [row for row in tree(rows) if row[0] != "task"] == [
        ("chat", "gpt-4o-mini", "langgraph", None, "t-1"),
        ("execute_tool", "weather", "langgraph", None, "t-1"),
        ("chat", "gpt-4o-mini", "langgraph", None, "t-1"),
        ("invoke_workflow", "forecaster", "langgraph", "forecaster", "t-1"),
        ("invoke_agent", "forecaster", "langgraph", "forecaster", "t-1"),
    ]
    assert {row.provider for row in rows} == {None, "openai"}
    assert [row.operation for row in rows if row.name.startswith("create_agent")] == ["other"]


def test_openllmetry_on_crewai_is_a_workflow_a_task_and_an_agent():
    """A crew and a task that are labelled as agents are told apart."""
    rows = received("openllmetry-crewai+openllmetry-openai.crewai.json")

    assert tree(rows)[2:] == [
        ("invoke_agent", "Forecaster", "crewai", "Forecaster", None),
        ("task", "How warm is it in Paris?", "crewai", "Forecaster", None),
        ("invoke_workflow", "weather crew", "crewai", None, None),
    ]


def test_crewais_own_tracer_names_its_agents_by_role():
    """Its agent's name is a hash and its conversation a task; role and no session are what people know."""
    assert tree(received("crewai-native.crewai.json")) == [
        ("chat", "gpt-4o-mini", "crewai", "Forecaster", None),
        ("execute_tool", "weather", "crewai", "Forecaster", None),
        ("chat", "gpt-4o-mini", "crewai", "Forecaster", None),
        ("invoke_agent", "Forecaster", "crewai", "Forecaster", None),
        ("task", "How warm is it in Paris?", "crewai", None, None),
        ("invoke_workflow", "weather crew", "crewai", None, None),
    ]


def test_openinference_on_crewai_names_crew_agent_and_tool():
    """The crew is a workflow wherever it stands, the agent has its role's name."""
    assert tree(received("openinference-crewai.crewai.json")) == [
        ("chat", "gpt-4o-mini", "crewai", None, None),
        ("execute_tool", "weather", "crewai", "Forecaster", None),
        ("chat", "gpt-4o-mini", "crewai", None, None),
        ("invoke_agent", "Forecaster", "crewai", "Forecaster", None),
        ("invoke_workflow", "weather crew.kickoff", "crewai", None, None),
    ]


def test_openinference_on_the_openai_agents_sdk_is_a_workflow_an_agent_and_its_turns():
    """The SDK's trace is the workflow, which OpenInference calls an agent."""
    rows = received("openinference-openai-agents.openai_agents.json")

    assert sorted((row.operation, row.name, row.framework, row.agent) for row in rows) == [
        ("chat", "gpt-4o-mini", "openai_agents", None),
        ("chat", "gpt-4o-mini", "openai_agents", None),
        ("execute_tool", "weather", "openai_agents", None),
        ("invoke_agent", "forecaster", "openai_agents", "forecaster"),
        ("invoke_workflow", "Agent workflow", "openai_agents", "Agent workflow"),
        ("task", "Agent workflow", "openai_agents", None),
        ("task", "turn", "openai_agents", None),
        ("task", "turn", "openai_agents", None),
    ]


def test_openllmetry_on_the_openai_agents_sdk_tells_calls_without_tokens():
    """With Chat Completions it says that there were calls, and nothing of what they took: that stays unknown."""
    rows = received("openllmetry-openai-agents.openai_agents.json")

    assert sorted((row.operation, row.name) for row in rows) == [
        ("chat", "gpt-4o-mini"),
        ("chat", "gpt-4o-mini"),
        ("execute_tool", "weather"),
        ("invoke_agent", "forecaster"),
        ("invoke_workflow", "Agent Workflow"),
    ]
    assert {(row.framework, row.input_tokens, row.output_tokens) for row in rows} == {("openai_agents", None, None)}


def test_messages_of_autogens_runtime_are_nothing_in_particular():
    """Creating, publishing and processing messages keep their names and links, and are no operation of an agent."""
    rows = received("autogen-native.autogen.json")

    assert tree(rows) == [
        ("execute_tool", "weather", "autogen", None, None),
        ("invoke_agent", "forecaster", "autogen", "forecaster", None),
    ]
    runtime = [row for row in rows if row.name.startswith("autogen ")]
    assert {(row.operation, row.framework, row.provider) for row in runtime} == {("other", "autogen", None)}
    assert any(json.loads(row.details or b"{}").get("links") for row in rows)


def row_of(attributes: dict[str, Any], *, name: str = "span", scope: str = "", parent: str = "") -> SpanRow:
    span = Span(
        "a" * 32, "b" * 16, parent, name, 1, 1_767_225_600_000_000_000, 1_767_225_601_000_000_000, attributes,
        [], [], False, "",
    )  # fmt: skip
    return span_row(span, Origin({}, scope), 1_767_225_602_000_000, PRICES)


def test_mlflow_says_kind_tokens_model_and_session_in_json():
    """Values are JSON texts: a quoted kind, a map of tokens, and what went in and came out as content."""
    row = row_of(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": '{"model": "gpt-4o", "messages": [{"role": "user", "content": "How far?"}]}',
            "mlflow.spanOutputs": '{"choices": [{"message": {"content": "Far."}}]}',
            "mlflow.chat.tokenUsage": '{"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}',
            "mlflow.llm.provider": '"openai"',
            "mlflow.trace.session": '"s1"',
        }
    )
    assert (*facts(row), row.session_id) == ("chat", "gpt-4o", "openai", "gpt-4o", 1000, 50, "s1")
    assert row.cost_usd == pytest.approx(0.003)
    assert row.text is not None
    assert "How far?" in row.text
    assert "Far." in row.text
    assert row_of({"mlflow.spanType": "TOOL", "mlflow.spanInputs": "{}"}).operation == "execute_tool"


def test_what_vercel_is_told_of_session_and_user_is_understood():
    """Its telemetry metadata has names that the application chose; these are the ones that its documentation uses."""
    row = row_of(
        {
            "ai.operationId": "ai.generateText",
            "ai.telemetry.metadata.sessionId": "s1",
            "ai.telemetry.metadata.userId": "u1",
        }
    )
    assert (row.operation, row.session_id, row.user_id) == ("invoke_agent", "s1", "u1")


@pytest.mark.parametrize("operation", ["handle_conversation_turn", "invocation"])
def test_a_turn_of_a_conversation_is_a_run(operation: str):
    """What other frameworks call a whole turn."""
    row = row_of({"gen_ai.operation.name": operation}, scope="agent_framework")
    assert (row.operation, row.framework) == ("invoke_workflow", "agent_framework")


def facts(row: SpanRow) -> tuple[Any, ...]:
    return (row.operation, row.name, row.provider, row.model, row.input_tokens, row.output_tokens)


@pytest.mark.parametrize(
    "attributes, expected",
    [
        (
            {
                "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o",
                "llm.request.type": "chat",
                "gen_ai.usage.prompt_tokens": 5,
                "gen_ai.usage.completion_tokens": 3,
            },
            ("chat", "gpt-4o", "openai", "gpt-4o", 5, 3),
        ),
        (
            {"gen_ai.system": "az.ai.openai", "gen_ai.request.model": "gpt-4o"},
            ("chat", "gpt-4o", "azure.ai.openai", "gpt-4o", None, None),
        ),
        (
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-4o",
                "langfuse.observation.usage_details": '{"input": 4, "input_cached_tokens": 1, "output": 3, "total": 8}',
            },
            ("chat", "gpt-4o", None, "gpt-4o", 5, 3),
        ),
        (
            {
                "ai.operationId": "ai.streamText.doStream",
                "ai.model.id": "gpt-4o",
                "ai.model.provider": "openai.responses",
                "ai.usage.inputTokens": 5,
                "ai.usage.outputTokens": 3,
            },
            ("chat", "gpt-4o", "openai", "gpt-4o", 5, 3),
        ),
        (
            {"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 5, "ai.telemetry.functionId": "helper"},
            ("invoke_agent", "helper", None, None, None, None),
        ),
        (
            {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e-3", "llm.token_count.prompt": 5},
            ("embeddings", "e-3", None, "e-3", 5, None),
        ),
        ({"traceloop.span.kind": "tool", "traceloop.entity.name": "look_up"}, ("execute_tool", "look_up") + (None,) * 4),
        ({"gen_ai.operation.name": "create_agent", "gen_ai.usage.input_tokens": 5}, ("other", "span") + (None,) * 4),
        ({"gen_ai.operation.name": ["chat"]}, ("other", "span") + (None,) * 4),
        ({"http.request.method": "GET"}, ("other", "span") + (None,) * 4),
    ],
    ids=[
        "traceloop before the conventions", "the first conventions", "langfuse", "vercel call", "vercel agent",
        "embedding", "traceloop tool", "create_agent", "nonsense", "http",
    ],
)  # fmt: skip
def test_older_and_other_names_mean_what_the_conventions_call_otherwise(attributes, expected):
    """Operation, name, provider, model and tokens come out of every dialect; only model calls have the last four."""
    assert facts(row_of(attributes)) == expected


@pytest.mark.parametrize(
    "name, operation",
    [
        ("evaluate guardrail", "guardrail"),
        ("search knowledge", "retrieval"),
        ("agent reasoning", "plan"),
        ("call x", "other"),
    ],
)
def test_crewais_spans_without_an_operation_are_told_by_their_names(name: str, operation: str):
    """Only for CrewAI's own tracer; the same name elsewhere means nothing."""
    attributes = {"crewai.event_name": "x"}
    assert row_of(attributes, name=name, scope="crewai").operation == operation
    assert row_of(attributes, name=name, scope="mine").operation == "other"


def test_flattened_messages_become_messages():
    """Older OpenLLMetry spreads a conversation over attributes with indices."""
    row = row_of(
        {
            "llm.request.type": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "hi",
            "gen_ai.prompt.1.role": "assistant",
            "gen_ai.prompt.1.tool_calls.0.id": "c1",
            "gen_ai.prompt.1.tool_calls.0.name": "look_up",
            "gen_ai.prompt.1.tool_calls.0.arguments": '{"q": 1}',
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "hello",
            "gen_ai.completion.0.finish_reason": "stop",
        }
    )
    wanted = {"type": "tool_call", "id": "c1", "name": "look_up", "arguments": {"q": 1}}
    assert json.loads(row.details or b"") == {
        "attributes": {"llm.request.type": "chat", "gen_ai.request.model": "gpt-4o"},
        "input": [
            {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
            {"role": "assistant", "parts": [wanted]},
        ],
        "output": [
            {"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"},
        ],
    }
    assert row.text == "hi\nlook_up\n1\nhello"


def test_indices_of_flattened_lists_are_bounded():
    """An index of a billion makes no list of a billion; such names stay attributes, and contradictions cost themselves only."""
    row = row_of(
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.999999999.message.content": "far",
            "llm.input_messages.-1.message.content": "before",
            "llm.input_messages.x": "no index",
            "llm.input_messages.3.message.content": "good",
            "llm.input_messages.3.message.content.0.x": "contradiction",
            "llm.input_messages.3" + ".0" * 40: "deep",
        }
    )
    details = json.loads(row.details or b"")
    assert details["input"] == [{"role": "user", "parts": [{"type": "text", "content": "good"}]}]
    assert sorted(name[19:40] for name in details["attributes"] if name.startswith("llm.input_messages.")) == [
        "-1.message.content",
        "3.0.0.0.0.0.0.0.0.0.0",
        "999999999.message.con",
        "x",
    ]


@pytest.mark.parametrize(
    "attributes, cost",
    [
        ({"llm.cost.total": 0.25}, (0.25, None, "sender", None)),
        ({"operation.cost": 0.5}, (0.5, None, "sender", None)),
        ({"gen_ai.usage.cost": "0.5"}, (0.5, None, "sender", None)),
        ({"gen_ai.usage.cost.amount": 1, "gen_ai.usage.cost.source": "provider"}, (1.0, None, "provider", None)),
        (
            {"gen_ai.usage.cost.amount": 1, "gen_ai.usage.cost.currency": "EUR"},
            (None, None, None, "the sender states the cost in EUR, not in USD"),
        ),
        ({"langfuse.observation.cost_details": '{"total": 0.75}'}, (0.75, None, "sender", None)),
        ({"llm.cost.total": float("nan")}, (2.5e-06, "openai/gpt-4o", "genai-prices", None)),
        ({"llm.cost.total": -1.0}, (2.5e-06, "openai/gpt-4o", "genai-prices", None)),
    ],
)
def test_a_cost_that_came_with_a_span_wins_over_the_price_table(attributes, cost):
    """It keeps its source; what is no amount of dollars is not believed."""
    call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    row = row_of({**call, "gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 0, **attributes})
    assert (row.cost_usd, row.price, row.price_source, row.cost_reason) == cost


@pytest.mark.parametrize(
    "scope, attributes, framework",
    [
        ("openinference.instrumentation.llama_index", {}, "llama-index"),
        ("opentelemetry.instrumentation.langchain", {}, "langchain"),
        ("opentelemetry.instrumentation.langchain", {"gen_ai.provider.name": "langgraph"}, "langgraph"),
        ("my.tracer", {"gen_ai.system": "autogen"}, "autogen"),
        ("opentelemetry.instrumentation.openai.v1", {}, None),
    ],
)
def test_the_framework_is_that_of_the_instrumentation(scope, attributes, framework):
    """Its name says which framework it observes; LangChain's also observes LangGraph, and says so on its spans."""
    assert row_of(attributes, scope=scope).framework == framework
