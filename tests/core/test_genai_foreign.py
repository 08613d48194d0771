"""Spans of other instrumentations say, in the conventions' names, what they said in their own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.genai.foreign import (
    canonical,
    framework_of,
    name_of,
    operation_of,
    provider_of,
    status_of_failed,
)
from ai_dev_squad.genai.foreign_content import unflatten
from ai_dev_squad.genai.stated import usage_of
from ai_dev_squad.schema import Usage


def added(said: dict[str, Any], span_name: str = "span") -> dict[str, Any]:
    """What a span's attributes mean beside what they are."""
    found, _ = canonical(said, span_name)
    assert {name: found[name] for name in said if name in found} == {name: said[name] for name in said if name in found}
    return {name: value for name, value in found.items() if name not in said}


def message(role: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": role, "parts": list(parts), **more}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def test_spans_with_the_same_names_say_each_its_own() -> None:
    """What names mean is worked out once; values, and what is left of names in another order, are each span's."""
    first = {"openinference.span.kind": "LLM", "llm.model_name": "m1", "llm.input_messages.0.message.content": "hi"}
    second = {**first, "llm.model_name": "m2", "llm.input_messages.0.message.content": "ho"}
    turned = dict(reversed(second.items()))
    asked = [message("", text(said)) for said in ("hi", "ho")]
    for said, model, put in ((first, "m1", asked[0]), (second, "m2", asked[1]), (turned, "m2", asked[1])):
        found, shown = canonical(said, "span")
        assert found["gen_ai.request.model"] == model
        assert found["gen_ai.input.messages"][0]["parts"] == put["parts"]
        assert shown == {"openinference.span.kind": "LLM", "llm.model_name": model}


# --- OpenInference ----------------------------------------------------------------------------------------------------


def test_a_model_call_of_openinference() -> None:
    """Messages, tools and calls that are spread over a hundred attributes are put together; the answer's id is found in it."""
    asked = "llm.input_messages."
    said = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 12,
        f"{asked}0.message.role": "system",
        f"{asked}0.message.content": "Be brief.",
        f"{asked}1.message.role": "user",
        f"{asked}1.message.name": "ada",
        f"{asked}1.message.contents.0.message_content.type": "text",
        f"{asked}1.message.contents.0.message_content.text": "What is this?",
        f"{asked}1.message.contents.1.message_content.type": "image",
        f"{asked}1.message.contents.1.message_content.image.image.url": "https://example.com/a.png",
        f"{asked}1.message.contents.2.message_content": "not spread",
        f"{asked}2.message.role": "tool",
        f"{asked}2.message.tool_call_id": "call_1",
        f"{asked}2.message.content": "42",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "call_2",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"at": "it"}',
        "llm.tools.0.tool.json_schema": '{"name": "look"}',
        "input.value": "all of it",
        "output.value": '{"id": "chatcmpl-Abc123", "choices": []}',
    }

    assert added(said) == {
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.input.messages": [
            message("system", text("Be brief.")),
            message(
                "user",
                text("What is this?"),
                {"type": "generic", "image": {"image": {"url": "https://example.com/a.png"}}},
                name="ada",
            ),
            message("tool", {"type": "tool_call_response", "id": "call_1", "response": "42"}),
        ],
        "gen_ai.output.messages": [
            message("assistant", {"type": "tool_call", "id": "call_2", "name": "look", "arguments": {"at": "it"}})
        ],
        "gen_ai.tool.definitions": [{"name": "look"}],
        "gen_ai.response.id": "chatcmpl-Abc123",
    }


@pytest.mark.parametrize(
    "said, meant",
    [
        ({"openinference.span.kind": "LLM", "input.value": "in", "output.value": "out"}, {"gen_ai.input.messages": "in", "gen_ai.output.messages": "out"}),
        ({"openinference.span.kind": "CHAIN", "input.value": "in", "output.value": "out"}, {"gen_ai.input.messages": "in", "gen_ai.output.messages": "out"}),
        ({"openinference.span.kind": "TOOL", "input.value": "in", "output.value": "out"}, {"gen_ai.tool.call.arguments": "in", "gen_ai.tool.call.result": "out"}),
        ({"openinference.span.kind": "RETRIEVER", "input.value": "in", "output.value": "out"}, {"gen_ai.retrieval.query.text": "in", "gen_ai.retrieval.documents": "out"}),
        (
            {"openinference.span.kind": "RERANKER", "retrieval.documents.1.document.id": "b", "retrieval.documents.0.document.id": "a"},
            {"gen_ai.retrieval.documents": [{"id": "a"}, {"id": "b"}]},
        ),
        ({"openinference.span.kind": "AGENT", "graph.node.id": "writer"}, {"gen_ai.agent.name": "writer"}),
        ({"openinference.span.kind": "AGENT", "agent.name": "ada", "graph.node.id": "writer"}, {"gen_ai.agent.name": "ada"}),
        ({"openinference.span.kind": "AGENT"}, {"gen_ai.agent.name": "planner.run"}),
    ],
)  # fmt: skip
def test_other_spans_of_openinference(said: dict[str, Any], meant: dict[str, Any]) -> None:
    """What goes in and comes out is content of the span's kind; an agent without a name has its span's."""
    assert added(said, "planner.run") == meant


def test_an_agent_of_autogen_is_not_called_after_its_method() -> None:
    """OpenInference names the span after both."""
    assert added({"openinference.span.kind": "AGENT"}, "forecaster.on_messages_stream") == {
        "gen_ai.agent.name": "forecaster"
    }


# --- OpenLLMetry, and the conventions as they once were ---------------------------------------------------------------


def test_a_model_call_of_openllmetry() -> None:
    """Messages with calls of tools; ``gen_ai.system`` is the provider, and a canonical name beats an older one."""
    said = {
        "gen_ai.system": "openai",
        "gen_ai.usage.prompt_tokens": 3,
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.completion_tokens": 5,
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Hi",
        "gen_ai.prompt.1.content": "",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.finish_reason": "tool_calls",
        "gen_ai.completion.0.tool_calls.0.id": "c1",
        "gen_ai.completion.0.tool_calls.0.name": "look",
        "gen_ai.completion.0.tool_calls.0.arguments": "{no json",
        "gen_ai.completion.0.tool_calls.1": "not spread",
    }

    assert added(said) == {
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.input.messages": [message("user", text("Hi")), message("user")],
        "gen_ai.output.messages": [
            message(
                "assistant",
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": "{no json"},
                finish_reason="tool_calls",
            )
        ],
    }


@pytest.mark.parametrize(
    "kind, meant",
    [
        ("tool", {"gen_ai.tool.call.arguments": "in", "gen_ai.tool.call.result": "out", "gen_ai.tool.name": "it"}),
        ("agent", {"gen_ai.input.messages": "in", "gen_ai.output.messages": "out", "gen_ai.agent.name": "it"}),
        ("task", {"gen_ai.input.messages": "in", "gen_ai.output.messages": "out", "ai_dev_squad.task.name": "it"}),
        ("workflow", {"gen_ai.input.messages": "in", "gen_ai.output.messages": "out"}),
    ],
)
def test_an_entity_of_openllmetry(kind: str, meant: dict[str, Any]) -> None:
    """What it is called and was given, by its kind."""
    entity = {
        f"traceloop.entity.{part}": value for part, value in {"name": "it", "input": "in", "output": "out"}.items()
    }

    assert added({"traceloop.span.kind": kind, **entity}) == meant


# --- Langfuse, MLflow, Vercel, CrewAI ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said, meant",
    [
        (
            {
                "langfuse.observation.usage_details": json.dumps(
                    {
                        "input": 10,
                        "cache_read_input_tokens": 4,
                        "cache_creation_input_tokens": 2,
                        "output": 5,
                        "output_reasoning_tokens": 3,
                        "total": 24,
                        "bad": -1,
                        "input_text": "many",
                    }
                ),
                "langfuse.observation.cost_details": '{"total": 0.25}',
                "langfuse.observation.model.name": "gpt-4o",
            },
            {
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": 16,
                "gen_ai.usage.output_tokens": 8,
                "gen_ai.usage.cache_read.input_tokens": 4,
                "gen_ai.usage.cache_write.input_tokens": 2,
                "gen_ai.usage.reasoning.output_tokens": 3,
                "gen_ai.usage.cost.amount": 0.25,
            },
        ),
        (
            {"langfuse.observation.usage_details": '{"input_cached_tokens": 4}'},
            {"gen_ai.usage.input_tokens": 4, "gen_ai.usage.cache_read.input_tokens": 4},
        ),
        ({"langfuse.observation.usage_details": "[]", "langfuse.observation.cost_details": "none"}, {}),
        (
            {
                "mlflow.spanType": '"CHAT_MODEL"',
                "mlflow.chat.tokenUsage": '{"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 3}',
                "mlflow.spanInputs": '{"model": "gpt-4o", "messages": []}',
                "mlflow.llm.provider": '"openai"',
                "mlflow.trace.session": '"s-1"',
            },
            {
                "gen_ai.usage.input_tokens": 7,
                "gen_ai.usage.output_tokens": 2,
                "gen_ai.usage.cache_read.input_tokens": 1,
                "gen_ai.usage.cache_write.input_tokens": 3,
                "gen_ai.input.messages": '{"model": "gpt-4o", "messages": []}',
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.provider.name": "openai",
                "gen_ai.conversation.id": "s-1",
            },
        ),
        (
            {"mlflow.spanType": '"TOOL"', "mlflow.spanInputs": '["x"]', "mlflow.spanOutputs": "1", "mlflow.llm.model": '"m"'},
            {
                "gen_ai.input.messages": '["x"]',
                "gen_ai.output.messages": "1",
                "gen_ai.request.model": "m",
                "gen_ai.tool.call.arguments": '["x"]',
                "gen_ai.tool.call.result": "1",
            },
        ),
        (
            {
                "ai.operationId": "ai.generateText.doGenerate",
                "ai.prompt.messages": "[1]",
                "ai.prompt": "{}",
                "ai.response.text": "Done.",
                "ai.response.toolCalls": '[{"toolCallId": "c1", "toolName": "look", "input": {"at": 1}}, {"toolName": "see", "args": "{}"}, 3]',
            },
            {
                "gen_ai.input.messages": "[1]",
                "gen_ai.output.messages": [
                    message(
                        "assistant",
                        text("Done."),
                        {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}},
                        {"type": "tool_call", "name": "see", "arguments": {}},
                    )
                ],
            },
        ),
        (
            {"ai.operationId": "ai.toolCall", "ai.toolCall.args": "{}", "ai.toolCall.result": "1", "ai.prompt": "p", "ai.response.object": "{}"},
            {"gen_ai.tool.call.arguments": "{}", "gen_ai.tool.call.result": "1", "gen_ai.input.messages": "p", "gen_ai.output.messages": "{}"},
        ),
        (
            {"gen_ai.agent.name": "hash", "crewai.agent.role": "Writer", "gen_ai.conversation.id": "t1", "crewai.task.id": "t1"},
            {},
        ),
    ],
)  # fmt: skip
def test_what_others_say_in_json(said: dict[str, Any], meant: dict[str, Any]) -> None:
    """Counts are added up where each kind of token counts apart, content is parsed, and what is no JSON means nothing."""
    if "crewai.agent.role" in said:
        found, _ = canonical(said, "span")
        assert (found["gen_ai.agent.name"], "gen_ai.conversation.id" in found) == ("Writer", False)
    else:
        assert added(said) == meant


@pytest.mark.parametrize(
    "read, written, thought",
    [
        ("input_tokens.cached", "input_tokens.cache_write", "output_tokens.reasoning"),
        ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens"),
        ("cached_tokens", "cache_creation.input_tokens", "thoughts_tokens"),  # langfuse#17117
        ("experimental.cached_tokens", "cache_write.input_tokens", "experimental.reasoning_tokens"),
        ("prompt_tokens_details.cached_tokens", "cache_creation_input_tokens", "thoughts_token_count"),
    ],
)
def test_parts_of_a_count_have_many_names(read: str, written: str, thought: str) -> None:
    """What the conventions did not name for long, each has named in its own way."""
    said = {f"gen_ai.usage.{name}": count for count, name in enumerate((read, written, thought), 1)}
    found, _ = canonical({"gen_ai.usage.input_tokens": 9, **said}, "span")
    assert usage_of(found) == Usage(
        input_tokens=9,
        cache_read_input_tokens=1,
        cache_write_input_tokens=2,
        reasoning_output_tokens=3,
        source="provider",
    )


def test_a_model_call_of_weave() -> None:
    """The conventions' names with a word before them."""
    said = {
        "weave.operation.name": "chat",
        "weave.provider.name": "openai",
        "weave.request.model": "gpt-4o",
        "weave.usage.input_tokens": 120,
        "weave.usage.output_tokens": 30,
        "weave.usage.reasoning_tokens": 8,
        "weave.usage.cache_read.input_tokens": 64,
        "weave.usage.cache_creation.input_tokens": 16,
        "weave.conversation.id": "s-1",
    }
    assert operation_of(said, said, scope="", span_name="chat gpt-4o", is_root=False) == "chat"
    assert added(said) == {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.reasoning.output_tokens": 8,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.cache_write.input_tokens": 16,
        "gen_ai.conversation.id": "s-1",
    }


# --- names ------------------------------------------------------------------------------------------------------------


def test_canonical_attributes_are_handed_back() -> None:
    """A span that is told in canonical names costs nothing."""
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    found, shown = canonical(said, "chat m")

    assert found is said
    assert shown is said


def test_content_is_not_shown_among_the_attributes() -> None:
    """Names too deep, too far or not of a list are; all else of a list, and content, is not."""
    kept = {
        "traceloop.span.kind": "tool",
        "gen_ai.prompt.1024.role": "user",
        "gen_ai.prompt.x.role": "user",
        "gen_ai.prompt.0" + ".x" * 12: "deep",
        "mine": 1,
    }
    _, shown = canonical({**kept, "gen_ai.prompt.0.role": "user", "input.value": "x"}, "span")

    assert shown == kept


@pytest.mark.parametrize(
    "said, span_name, is_root, scope, operation",
    [
        ({"traceloop.span.kind": "workflow"}, "w", True, "", "invoke_workflow"),
        ({"traceloop.span.kind": "strange"}, "w", True, "", "other"),
        ({"traceloop.span.kind": 3}, "w", True, "", "other"),
        ({"openinference.span.kind": "LLM"}, "OpenAI._prepare_chat_with_tools", False, "", "other"),
        ({"openinference.span.kind": "LLM"}, "OpenAI.chat", False, "", "chat"),
        ({"openinference.span.kind": "CHAIN"}, "c", True, "", "invoke_workflow"),
        ({"openinference.span.kind": "CHAIN"}, "c", False, "", "task"),
        ({"openinference.span.kind": "CHAIN", "crew_key": "k"}, "c", False, "", "invoke_workflow"),
        ({"openinference.span.kind": "AGENT"}, "a", True, "openinference.instrumentation.openai_agents", "invoke_workflow"),
        ({"openinference.span.kind": "AGENT"}, "a", False, "openinference.instrumentation.openai_agents", "invoke_agent"),
        ({"openinference.span.kind": "AGENT"}, "crewai.workflow", False, "", "invoke_workflow"),
        ({}, "query memory", False, "crewai", "retrieval"),
        ({}, "anything", False, "crewai", "other"),
        ({"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1}, "x", False, "", "chat"),
        ({"gen_ai.request.model": "m", "gen_ai.system": "openai"}, "x", False, "", "chat"),
        ({"gen_ai.request.model": "m"}, "x", False, "", "other"),
        ({"gen_ai.usage.input_tokens": 1}, "x", False, "", "other"),
    ],
)  # fmt: skip
def test_what_a_span_is(said: dict[str, Any], span_name: str, is_root: bool, scope: str, operation: str) -> None:
    """The attribute that says a kind decides, then the span's name and place; a model and a count of tokens are a chat."""
    assert operation_of(said, said, scope=scope, span_name=span_name, is_root=is_root) == operation


@pytest.mark.parametrize(
    "span_name, operation, values, name",
    [
        ("GET /", "other", {}, "GET /"),
        ("", "other", {}, "other"),
        ("chat gpt", "chat", {"gen_ai.request.model": "m"}, "m"),
        ("chat gpt", "chat", {"gen_ai.response.model": "r"}, "r"),
        ("chat gpt", "chat", {"gen_ai.request.model": ""}, "gpt"),
        ("chat gpt", "chat", {"gen_ai.request.model": 3}, "gpt"),
        ("", "chat", {}, "chat"),
        (" \n", "other", {}, "other"),
        ("chat  ", "chat", {"gen_ai.request.model": " "}, "chat"),
        ("chat", "guardrail", {}, "chat"),
        ("x" * 300, "other", {}, "x" * 256),
        ("x" * 300, "chat", {}, "x" * 256),
        ("x", "chat", {"gen_ai.request.model": "m" * 300}, "m" * 256),
    ],
)
def test_what_an_operation_is_called(span_name: str, operation: str, values: dict[str, Any], name: str) -> None:
    """By what it is of, else by its span's name without the operation; nobody's name fills a page."""
    assert name_of(span_name, operation, values) == name


@pytest.mark.parametrize(
    "value, provider",
    [
        ("OpenAI.chat", "openai"),
        ("anthropic.messages", "anthropic"),
        ("langchain", None),
        ("somebody", "somebody"),
        ("x" * 300, "x" * 256),
        ("", None),
        (3, None),
    ],
)
def test_who_a_provider_is(value: Any, provider: str | None) -> None:
    """The conventions' name without an interface's; a framework is none."""
    assert provider_of(value) == provider


@pytest.mark.parametrize(
    "scope, said, framework",
    [
        ("opentelemetry.instrumentation.langchain", {}, "langchain"),
        ("opentelemetry.instrumentation.langchain", {"gen_ai.provider.name": "langgraph"}, "langgraph"),
        (
            "opentelemetry.instrumentation.langchain",
            {"traceloop.association.properties.langgraph_step": 1},
            "langgraph",
        ),
        ("openinference.instrumentation.langchain", {"metadata": '{"langgraph_node": "x"}'}, "langgraph"),
        ("openinference.instrumentation.langchain", {"metadata": {"langgraph_node": "x"}}, "langchain"),
        ("openinference.instrumentation.crewai", {}, "crewai"),
        ("autogen_agentchat.teams", {}, "autogen"),
        ("strands.telemetry.tracer", {}, "strands"),
        ("app.diagnostics", {}, None),  # no Agno
        ("shop.autogenerated", {}, None),
        ("mine", {"gen_ai.system": "crewai"}, "crewai"),
        ("mine", {"gen_ai.system": 3}, None),
        ("mine", {}, None),
    ],
)
def test_which_framework_is_observed(scope: str, said: dict[str, Any], framework: str | None) -> None:
    """The instrumentation's name says so, or the span does."""
    assert framework_of(scope, said) == framework


def test_what_a_failure_means() -> None:
    """A pause, a hand-off and a cancellation are no errors, in whichever module their exceptions are."""
    names = ["langgraph.errors.GraphInterrupt", "asyncio.CancelledError", "ParentCommand", "ValueError", "", None]

    assert [status_of_failed(name) for name in names] == [
        "interrupted",
        "cancelled",
        "handoff",
        "error",
        "error",
        "error",
    ]


# --- flattened lists --------------------------------------------------------------------------------------------------


def test_gaps_close_and_the_first_of_a_contradiction_counts() -> None:
    """Whatever order attributes come in, and whatever was left out."""
    entries: list[tuple[tuple[int | str, ...], Any]] = [
        ((7, "role"), "user"),
        ((3, "role"), "system"),
        ((3, "role"), "later"),
        ((3, "role", "deeper"), "no"),
        ((7, "calls", 4), "b"),
        ((7, "calls", 2), "a"),
        ((7, "calls", "named"), "no"),
    ]

    assert unflatten(entries) == [{"role": "system"}, {"role": "user", "calls": ["a", "b"]}]


TREES = st.lists(
    st.recursive(
        st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def _flat(value: Any, path: tuple[int | str, ...] = ()) -> list[tuple[tuple[int | str, ...], Any]]:
    if isinstance(value, list):
        return [entry for index, item in enumerate(value) for entry in _flat(item, (*path, index))]
    if isinstance(value, dict):
        return [entry for name, item in value.items() for entry in _flat(item, (*path, name))]
    return [(path, value)]


@given(TREES, st.randoms(use_true_random=False))
def test_what_was_spread_is_put_together(tree: list[Any], random: Any) -> None:
    """In whatever order its attributes arrive, the list is what it was."""
    entries = _flat(tree)
    random.shuffle(entries)

    assert unflatten(entries) == tree
