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
from ai_dev_squad_dashboard.ingest.otlp_shapes import Event, Origin, Span
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


def row_of(
    attributes: dict[str, Any], *, name: str = "span", scope: str = "", parent: str = "", events: tuple[Any, ...] = ()
) -> SpanRow:
    span = Span(
        "a" * 32, "b" * 16, parent, name, 1, 1_767_225_600_000_000_000, 1_767_225_601_000_000_000, attributes,
        [Event(1, event, said) for event, said in events], [], False, "",
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


@pytest.mark.parametrize(
    "usage", ['{"input_tokens": 1000, "output_tokens": 50}', '{"prompt_tokens": 1000, "completion_tokens": 50}']
)
def test_mlflow_said_less_of_the_openai_agents_sdk(usage: str):
    """Under names that nobody added up (mlflow#24059)."""
    row = row_of({"mlflow.spanType": '"CHAT_MODEL"', "model": '"gpt-4o"', "usage": usage})
    assert (row.operation, row.model, row.input_tokens, row.output_tokens) == ("chat", "gpt-4o", 1000, 50)


def test_a_span_that_says_that_it_is_below_itself_is_a_root():
    """Its run would have none."""
    assert row_of({}, parent="b" * 16).parent_span_id is None


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
    "function, operation",
    [
        ("completion", "chat"),
        ("acompletion", "chat"),
        ("responses", "chat"),
        ("aresponses", "chat"),
        ("anthropic_messages", "chat"),
        ("atext_completion", "text_completion"),
        ("aembedding", "embeddings"),
        ("aimage_generation", "generate_content"),
        ("arerank", "retrieval"),
        ("alist_input_items", "other"),
    ],
)
def test_a_call_through_litellms_proxy_is_one(function: str, operation: str):
    """Its spans have the name of the function that was called, mostly the asynchronous one (litellm#31583)."""
    named = "chat" if function == "completion" else function
    told = {"gen_ai.operation.name": named, "llm.request.type": function, "gen_ai.request.model": "gpt-4o"}
    assert row_of(told, name="litellm_request", scope="litellm").operation == operation


@pytest.mark.parametrize(
    "kind, named, parent, operation",
    [
        ("llm", "chat", "c" * 16, "chat"),
        ("prompt", "chat", "c" * 16, "other"),
        ("retriever", "embeddings", "c" * 16, "retrieval"),
        ("chain", "chain", "c" * 16, "task"),
        ("chain", "chain", "", "invoke_workflow"),
        ("tool", "execute_tool", "c" * 16, "execute_tool"),
    ],
)
def test_langsmiths_kind_says_more_than_its_operation(kind: str, named: str, parent: str, operation: str):
    """A prompt that is filled in is no model call, and a retriever embeds nothing."""
    told = {"langsmith.span.kind": kind, "gen_ai.operation.name": named, "langsmith.metadata.thread_id": "t"}
    row = row_of(told, parent=parent)
    assert (row.operation, row.session_id, row.labels) == (operation, "t", None)


@pytest.mark.parametrize(
    "operation, expected",
    [
        ("chat.completions", "chat"),
        ("chat.streaming_completions", "chat"),
        ("text.completions", "text_completion"),
        ("text.streaming_completions", "text_completion"),
    ],
)
def test_semantic_kernel_counts_in_its_answer(operation: str, expected: str):
    """Its older releases have operations and tokens by names of their own."""
    row = row_of(
        {
            "gen_ai.operation.name": operation,
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.prompt_tokens": 5,
            "gen_ai.response.completion_tokens": 3,
        }
    )
    assert facts(row) == (expected, "gpt-4o", "openai", "gpt-4o", 5, 3)


@pytest.mark.parametrize(
    "said, counted",
    [
        # Langfuse: OpenAI's own report, and counts that are apart, as its handler for LangChain sends them.
        (
            {
                "langfuse.observation.usage_details": '{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, '
                '"prompt_tokens_details": {"cached_tokens": 80}, "completion_tokens_details": {"reasoning_tokens": 5}}'
            },
            (100, 80, None, 10, 5),
        ),
        (
            {
                "langfuse.observation.usage_details": '{"input_tokens": 100, "output_tokens": 10, "total_tokens": 110, '
                '"input_tokens_details": {"cached_tokens": 80}, "output_tokens_details": {"reasoning_tokens": 5}}'
            },
            (100, 80, None, 10, 5),
        ),
        (
            {
                "langfuse.observation.usage_details": '{"input": 15, "input_cache_read": 80, "input_cache_creation": 5, '
                '"output": 5, "output_reasoning": 5, "total": 110}'
            },
            (100, 80, 5, 10, 5),
        ),
        (
            {
                "langfuse.observation.usage_details": '{"input": 100, "input_priority": 20, "input_priority_cache_read": 80, '
                '"output": 10.0}'
            },
            (100, 80, None, 10, None),
        ),
        ({"langfuse.observation.usage_details": '{"input": "many", "output": 1.5}'}, (None,) * 5),
        # LangSmith: LangChain's details, as Python writes them.
        (
            {
                "langsmith.span.kind": "llm",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 10,
                "gen_ai.usage.input_token_details": "{'cache_read': 80, 'audio': 0}",
                "gen_ai.usage.output_token_details": "{'reasoning': 5}",
            },
            (100, 80, None, 10, 5),
        ),
        # Vercel's AI SDK: 6 adds up (sentry-javascript#21484), 5 leaves the cache of Anthropic and Bedrock beside the input.
        (
            {
                "ai.operationId": "ai.streamText.doStream",
                "ai.model.provider": "anthropic.messages",
                "ai.usage.inputTokens": 1000,
                "ai.usage.outputTokens": 10,
                "ai.usage.inputTokenDetails.cacheReadTokens": 900,
                "ai.usage.inputTokenDetails.cacheWriteTokens": 50,
                "ai.usage.outputTokenDetails.reasoningTokens": 5,
            },
            (1000, 900, 50, 10, 5),
        ),
        (
            {
                "ai.operationId": "ai.streamText.doStream",
                "ai.model.provider": "anthropic.messages",
                "ai.usage.inputTokens": 50,
                "gen_ai.usage.input_tokens": 50,
                "ai.usage.outputTokens": 10,
                "ai.usage.cachedInputTokens": 900,
                "ai.response.providerMetadata": '{"anthropic": {"cacheCreationInputTokens": 50}}',
            },
            (1000, 900, 50, 10, None),
        ),
        (
            {
                "ai.operationId": "ai.generateText.doGenerate",
                "ai.model.provider": "amazon-bedrock",
                "ai.usage.inputTokens": 50,
                "ai.usage.outputTokens": 10,
                "ai.usage.cachedInputTokens": 900,
                "ai.response.providerMetadata": '{"bedrock": {"usage": {"cacheWriteInputTokens": 50}}}',
            },
            (1000, 900, 50, 10, None),
        ),
        (
            {
                "ai.operationId": "ai.generateText.doGenerate",
                "ai.model.provider": "openai.responses",
                "ai.usage.inputTokens": 1000,
                "ai.usage.outputTokens": 10,
                "ai.usage.cachedInputTokens": 900,
                "ai.response.providerMetadata": '"nothing"',
            },
            (1000, 900, None, 10, None),
        ),
        # Whoever passes on what Anthropic counts (the other way round: dust#20989): less than its part is no whole.
        (
            {
                "mlflow.spanType": '"CHAT_MODEL"',
                "mlflow.chat.tokenUsage": '{"input_tokens": 50, "output_tokens": 10, "cache_read_input_tokens": 900, '
                '"cache_creation_input_tokens": 50}',
            },
            (1000, 900, 50, 10, None),
        ),
        # LiveKit and Strands.
        (
            {
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 10,
                "gen_ai.usage.input_cached_tokens": 80,
                "gen_ai.usage.cache_write_input_tokens": 5,
            },
            (100, 80, 5, 10, None),
        ),
    ],
    ids=[
        "langfuse chat", "langfuse responses", "langfuse langchain", "langfuse priority", "langfuse nonsense", "langsmith",
        "vercel 6", "vercel 5 anthropic", "vercel 5 bedrock", "vercel 5 openai", "anthropic as it is", "livekit and strands",
    ],
)  # fmt: skip
def test_a_cache_is_counted_however_it_is_told(said, counted):
    """Input, of it from and to the cache; output, of it thought."""
    row = row_of({"langfuse.observation.type": "generation", "gen_ai.request.model": "claude-sonnet-4-5", **said})
    assert (
        *(row.input_tokens, row.cache_read_tokens, row.cache_write_tokens),
        *(row.output_tokens, row.reasoning_tokens),
    ) == counted


ASKED, SAID = {"role": "user", "content": "How warm?"}, {"role": "assistant", "content": "18 degrees."}


@pytest.mark.parametrize(
    "events",
    [
        (
            ("gen_ai.system.message", {"content": "Be brief."}),
            ("gen_ai.user.message", {"content": "How warm?"}),
            ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": json.dumps(SAID)}),
        ),
        (
            ("gen_ai.user.message", {"content": '[{"text": "How warm?"}]'}),
            ("gen_ai.choice", {"finish_reason": "end_turn", "message": '[{"text": "18 degrees."}]'}),
        ),
        (
            ("gen_ai.user.message", {"gen_ai.event.content": json.dumps(ASKED)}),
            ("gen_ai.choice", {"gen_ai.event.content": json.dumps({"message": SAID, "finish_reason": "stop"})}),
        ),
        (
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps([ASKED])}),
            ("gen_ai.content.completion", {"gen_ai.completion": json.dumps([SAID])}),
        ),
        (
            ("gen_ai.content.prompt", {"gen_ai.prompt": "How warm?"}),
            ("gen_ai.content.completion", {"gen_ai.completion": "18 degrees."}),
        ),
        (
            ("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": json.dumps([ASKED])}),
            ("gen_ai.client.inference.operation.details", {"gen_ai.output.messages": json.dumps([SAID])}),
        ),
    ],
    ids=["a message each", "strands", "azure", "semantic kernel", "openlit", "all in one"],
)
def test_what_was_said_in_events_is_content(events):
    """Whoever writes messages as events of the span is read and found like who writes attributes (harness-sdk#3133)."""
    row = row_of({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}, events=events)
    assert (row.asked, row.answered) == ("How warm?", "18 degrees.")
    assert "How warm?" in (row.text or "")
    assert json.loads(row.details or b"").keys() == {"attributes", "input", "output"}


def test_what_a_tool_was_given_in_events_is_its_own():
    """Strands says arguments and result in events; one that is no content stays an event."""
    row = row_of(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"},
        events=(
            ("gen_ai.tool.message", {"role": "tool", "content": '{"city": "Paris"}', "id": "t1"}),
            ("gen_ai.choice", {"message": '[{"text": "18"}]', "id": "t1"}),
            ("retried", {"times": 1}),
        ),
    )
    assert json.loads(row.details or b"") == {
        "attributes": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"},
        "input": {"city": "Paris"},
        "output": [{"text": "18"}],
        "events": [{"name": "retried", "time_us": 0, "attributes": {"times": 1}}],
    }


def test_calls_of_tools_in_events_are_parts_of_messages():
    """OpenAI's list of calls, Amazon's blocks, and the tool's answer."""
    row = row_of(
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"},
        events=(
            ("gen_ai.assistant.message", {"content": '[{"toolUse": {"toolUseId": "t1", "name": "look", "input": {"q": 1}}}]'}),
            ("gen_ai.tool.message", {"id": "t1", "content": "one"}),
            ("gen_ai.tool.message", {"content": '[{"toolResult": {"toolUseId": "t2", "content": "two"}}, {"x": 1}, 5]'}),
            (
                "gen_ai.choice",
                {"message": json.dumps({"tool_calls": [{"id": "t3", "function": {"name": "look", "arguments": "{}"}}]})},
            ),
        ),
    )  # fmt: skip
    told = json.loads(row.details or b"")
    assert told["input"] == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "look", "arguments": {"q": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "one"}]},
        {
            "role": "tool",
            "parts": [
                {"type": "tool_call_response", "id": "t2", "response": "two"},
                {"x": 1},
                {"type": "text", "content": 5},
            ],
        },
    ]
    assert told["output"] == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t3", "name": "look", "arguments": {}}]}
    ]


@pytest.mark.parametrize(
    "said",
    [
        {
            "gen_ai.operation.name": "chat",
            "events": json.dumps(
                [
                    {"event.name": "gen_ai.user.message", **ASKED},
                    {"event.name": "gen_ai.choice", "index": 0, "message": SAID},
                ]
            ),
        },
        {
            "gen_ai.operation.name": "invoke_agent",
            "all_messages_events": json.dumps([{"event.name": "gen_ai.user.message", **ASKED}]),
            "final_result": "18 degrees.",
        },
        {
            "gen_ai.operation.name": "invoke_agent",
            "pydantic_ai.all_messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "How warm?"}]}]),
            "final_result": "18 degrees.",
        },
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gcp.vertex.agent.llm_request": json.dumps({"contents": [{"role": "user", "parts": [{"text": "How warm?"}]}]}),
            "gcp.vertex.agent.llm_response": json.dumps({"content": {"role": "model", "parts": [{"text": "18 degrees."}]}}),
        },
    ],
    ids=["logfire", "older pydantic ai", "pydantic ai", "adk"],
)  # fmt: skip
def test_what_frameworks_say_in_one_text_is_content(said):
    """Logfire's and Pydantic AI's lists, and the request and the answer of Google's ADK (openinference#2537)."""
    row = row_of(said)
    assert (row.asked, row.answered) == ("How warm?", "18 degrees.")


def test_an_adk_span_whose_content_is_off_has_none():
    """It says so by an empty text."""
    row = row_of(
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gcp.vertex.agent.session_id": "s1",
            "gcp.vertex.agent.llm_request": "{}",
            "gcp.vertex.agent.llm_response": "{}",
        }
    )
    assert (row.operation, row.session_id, row.asked, row.answered, row.text) == ("chat", "s1", None, None, None)


@pytest.mark.parametrize(
    "kind, operation",
    [
        *(("session", "invoke_workflow"), ("agent", "invoke_agent"), ("operation", "task"), ("tool", "execute_tool")),
        *(("llm", "chat"), ("http", "other")),
    ],
)
def test_agentops_says_kind_and_content(kind: str, operation: str):
    """Its decorators write input and output in one text each."""
    told = {"agentops.span.kind": kind, "agentops.entity.input": "in", "agentops.entity.output": "out"}
    row = row_of(told)
    details = json.loads(row.details or b"")
    assert (row.operation, details["input"], details["output"]) == (operation, "in", "out")


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
        ({"gen_ai.cost.total_cost": 0.125, "gen_ai.cost.input_cost": 0.1}, (0.125, None, "sender", None)),
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
