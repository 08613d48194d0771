"""From LangChain's objects to the schema, without running a graph."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langgraph.errors import GraphDrained, GraphInterrupt, GraphRecursionError, NodeCancelledError, ParentCommand
from langgraph.types import Command, Interrupt, Send

from ai_dev_squad.genai.errors import classify
from ai_dev_squad.schema import Usage
from ai_dev_squad_langgraph import _translate


def answer(*messages: Any, llm_output: Any = None) -> LLMResult:
    """What LangChain hands over at the end of a call: one choice for each message."""
    return LLMResult(generations=[[ChatGeneration(message=message) for message in messages]], llm_output=llm_output)


def reported(usage: Any, **more: Any) -> Any:
    """A message whose usage is whatever a provider or a wrapper put there."""
    return SimpleNamespace(generations=[[SimpleNamespace(message=SimpleNamespace(usage_metadata=usage, **more))]])


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage, expected",
    [
        pytest.param(
            {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
            Usage(input_tokens=10, output_tokens=5, source="provider"),
            id="plain",
        ),
        pytest.param(
            {
                "input_tokens": 200,
                "output_tokens": 30,
                "input_token_details": {"cache_read": 64, "cache_creation": 8, "audio": 4},
                "output_token_details": {"reasoning": 20, "audio": 2},
            },
            Usage(
                input_tokens=200,
                output_tokens=30,
                cache_read_input_tokens=64,
                cache_write_input_tokens=8,
                reasoning_output_tokens=20,
                audio_input_tokens=4,
                audio_output_tokens=2,
                source="provider",
            ),
            id="details are parts of the totals",
        ),
        pytest.param(
            {
                "input_tokens": 200,
                "output_tokens": 30,
                "input_token_details": {"flex": 136, "flex_cache_read": 64},
                "output_token_details": {"flex": 10, "flex_reasoning": 20},
            },
            Usage(
                input_tokens=200,
                output_tokens=30,
                cache_read_input_tokens=64,
                reasoning_output_tokens=20,
                source="provider",
            ),
            id="OpenAI's flex tier",
        ),
        pytest.param(
            {
                "input_tokens": 200,
                "output_tokens": 30,
                "input_token_details": {
                    "cache_creation": 0,
                    "ephemeral_5m_input_tokens": 40,
                    "ephemeral_1h_input_tokens": 2,
                },
            },
            Usage(
                input_tokens=200,
                output_tokens=30,
                cache_write_input_tokens=42,
                cache_write_1h_input_tokens=2,
                source="provider",
            ),
            id="Anthropic's cache by its life time",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 0},
            Usage(input_tokens=10, output_tokens=0, source="provider"),
            id="nothing said",
        ),
        pytest.param({"input_tokens": 0, "output_tokens": 0}, None, id="zeros are no counts"),
        pytest.param({}, None, id="empty"),
        pytest.param(None, None, id="none"),
    ],
)
def test_usage_is_the_providers(usage: Any, expected: Usage | None) -> None:
    """Counts as reported; what isn't reported is unknown, never 0."""
    assert _translate.usage_of(reported(usage)) == (expected, False)


def test_usage_of_a_text_completion() -> None:
    """Models without messages report their usage beside the answer."""
    response = LLMResult(
        generations=[[Generation(text="hi")]],
        llm_output={"token_usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}},
    )

    assert _translate.usage_of(response) == (Usage(input_tokens=7, output_tokens=2, source="provider"), False)


def test_an_answer_from_the_cache_has_no_usage_to_pay_for() -> None:
    """LangChain marks a cache hit by a total cost of 0 and repeats the tokens."""
    usage = {"input_tokens": 200, "output_tokens": 30, "total_tokens": 230, "total_cost": 0}

    assert _translate.usage_of(reported(usage)) == (
        Usage(input_tokens=0, output_tokens=0, source="provider"),
        True,
    )


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 8))
def test_several_choices_count_once(input_tokens: int, output_tokens: int, choices: int) -> None:
    """However many choices repeat the total, it is the total."""
    usage: Any = {"input_tokens": input_tokens, "output_tokens": output_tokens, "total_tokens": 0}
    messages = [AIMessage("x", usage_metadata=usage) for _ in range(choices)]

    expected = Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="provider")
    assert _translate.usage_of(answer(*messages)) == (expected, False)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "input_tokens",
                    "output_tokens",
                    "input_token_details",
                    "output_token_details",
                    "cache_read",
                    "cache_creation",
                    "flex_cache_read",
                    "reasoning",
                    "audio",
                    "total_cost",
                    "token_usage",
                    "prompt_tokens",
                    "completion_tokens",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(usage=JUNK, llm_output=JUNK, wrapped=st.integers(0, 3))
def test_usage_never_raises_and_is_never_negative(usage: Any, llm_output: Any, wrapped: int) -> None:
    """Whatever a provider's wrapper reports: counts are whole numbers from 0 or unknown."""
    response: Any = reported(usage)
    response.llm_output = llm_output
    if wrapped == 0:
        response = usage
    elif wrapped == 1:
        response.generations = usage
    elif wrapped == 2:
        response.generations = [usage]

    found, _ = _translate.usage_of(response)

    if found is not None:
        counts = [getattr(found, name) for name in found.__struct_fields__ if name != "source"]
        assert all(count is None or (type(count) is int and count >= 0) for count in counts)
        assert found.source == "provider"


# --- answers ----------------------------------------------------------------------------------------------------------


def test_response_attributes() -> None:
    """Model, id and finish reasons, one for each choice, wherever the provider put them."""
    first = AIMessage("a", response_metadata={"model_name": "gpt-4o-2024", "id": "r-1", "finish_reason": "stop"})
    second = AIMessage("b", response_metadata={"stop_reason": "max_tokens"})

    assert _translate.response_attributes(answer(first, second)) == {
        "gen_ai.response.model": "gpt-4o-2024",
        "gen_ai.response.id": "r-1",
        "gen_ai.response.finish_reasons": ["stop", "max_tokens"],
    }
    assert _translate.response_attributes(LLMResult(generations=[])) == {}


@pytest.mark.parametrize(
    "metadata, tier", [({"service_tier": "flex"}, "flex"), ({"service_tier": 3}, None), ({}, None), (None, None)]
)
def test_the_service_tier(metadata: Any, tier: str | None) -> None:
    """The tariff that was used, if the answer says so."""
    assert _translate.service_tier_of(reported({}, response_metadata=metadata)) == tier


def test_the_text_of_an_answer_includes_tool_calls() -> None:
    """For an estimate, the tool calls a model wrote count as well."""
    message = AIMessage("thinking", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c"}])

    assert _translate.response_text(answer(message)) == 'thinkingadd{"a":1}'
    assert _translate.response_text(LLMResult(generations=[[Generation(text="plain")]])) == "plain"


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ls_provider, kind, provider",
    [
        ("openai", "openai-chat", "openai"),
        ("azure", "azure-openai-chat", "azure.ai.openai"),
        ("azure", None, "azure.ai.inference"),
        ("amazon_bedrock", None, "aws.bedrock"),
        ("google_vertexai", None, "gcp.vertex_ai"),
        ("google_genai", None, "gcp.gen_ai"),
        ("mistralai", None, "mistral_ai"),
        ("xai", None, "x_ai"),
        ("Anthropic", None, "anthropic"),
        ("ollama", None, "ollama"),
        (None, "own-llm", "own-llm"),
        (None, None, "unknown"),
    ],
)
def test_providers_have_the_names_of_the_conventions(ls_provider: str | None, kind: str | None, provider: str) -> None:
    """LangChain's names for providers become those of OpenTelemetry; others pass through."""
    request = _translate.model_request({"ls_provider": ls_provider}, {"_type": kind}, [])

    assert request.provider == provider


@pytest.mark.parametrize(
    "metadata, params, model, limit",
    [
        ({}, {"model": "a", "model_name": "b"}, "a", None),
        ({}, {"model_name": "b", "max_tokens": 10}, "b", 10),
        ({"ls_model_name": "c", "ls_max_tokens": 7}, {}, "c", 7),
        ({}, {"model": "a", "max_completion_tokens": 20}, "a", 20),
        ({}, {"model": "a", "max_output_tokens": 30}, "a", 30),
        ({}, {}, "unknown", None),
    ],
)
def test_model_and_limit(metadata: Any, params: Any, model: str, limit: int | None) -> None:
    """The model and the longest answer, as the client was told."""
    request = _translate.model_request(metadata, params, [])

    assert (request.model, request.max_output_tokens) == (model, limit)


def test_request_attributes() -> None:
    """What was asked for, by the GenAI conventions; what wasn't set is absent."""
    params = {
        "model": "m",
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 5,
        "seed": 1,
        "n": 2,
        "stop": "END",
        "response_format": {"type": "json_object"},
        "base_url": "https://models.test/v1",
    }

    assert _translate.model_attributes({}, params, "t1") == {
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.seed": 1,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.output.type": "json",
        "gen_ai.conversation.id": "t1",
        "server.address": "models.test",
        "server.port": 443,
    }
    assert _translate.model_attributes({}, {"n": 1}, None) == {}


def test_identical_prompts_have_identical_hashes() -> None:
    """Prompts are recognised without being kept: by all that the model sees, not by object."""

    def digest(*messages: Any) -> str | None:
        return _translate.model_request({}, {}, [list(messages)]).prompt_hash

    assert digest(HumanMessage("hi", id="1")) == digest(HumanMessage("hi", id="2"))
    different = [
        digest(HumanMessage("hi")),
        digest(SystemMessage("hi")),
        digest(HumanMessage("ho")),
        digest(HumanMessage("h"), HumanMessage("i")),
        digest(HumanMessage([{"type": "image_url", "image_url": {"url": "https://a.example/1.png"}}])),
        digest(HumanMessage([{"type": "image_url", "image_url": {"url": "https://a.example/2.png"}}])),
        digest(AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c"}])),
        digest(AIMessage("", tool_calls=[{"name": "add", "args": {"a": 2}, "id": "c"}])),
        *(
            _translate.model_request({}, more, [[HumanMessage("hi")]]).prompt_hash
            for more in ({"tools": [{"name": "add"}]}, {"tools": [{"name": "sub"}]}, {"response_format": {"type": "x"}})
        ),
    ]
    assert len(set(different)) == len(different)


@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_text_can_be_hashed(texts: list[str]) -> None:
    """Also lone surrogates, which are no UTF-8."""
    messages = [HumanMessage(text + "\ud800") for text in texts]

    assert len(_translate.model_request({}, {}, [messages]).prompt_hash or "") == 16


# --- graphs and tasks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, status",
    [
        (GraphInterrupt([Interrupt("?", id="i")]), "interrupted"),
        (ParentCommand(Command(goto="x")), "handoff"),
        (GraphDrained(), "closed_early"),
        (asyncio.CancelledError(), "cancelled"),
        (NodeCancelledError("n"), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (GeneratorExit(), "closed_early"),
        (SystemExit(0), "ok"),
        (SystemExit(1), "error"),
        (GraphRecursionError(), "error"),
        (TimeoutError(), "error"),
        (ValueError(), "error"),
    ],
)
def test_outcomes(error: BaseException, status: str) -> None:
    """Of what LangGraph ends an operation with, only what is a failure is an error."""
    assert classify(error) == status


@pytest.mark.parametrize(
    "goto, target",
    [("other", "other"), (["a", "b"], ["a", "b"]), ([Send("a", {"secret": 1})], ["a"]), ((), [])],
)
def test_handoff_targets(goto: Any, target: Any) -> None:
    """Where control goes, without what is sent along."""
    assert _translate.handoff_target(ParentCommand(Command(graph=Command.PARENT, goto=goto))) == {"to": target}


@pytest.mark.parametrize(
    "metadata, conversation",
    [
        ({"thread_id": "t", "session_id": "s"}, "t"),
        ({"session_id": "s", "conversation_id": "c"}, "s"),
        ({"conversation_id": 7}, "7"),
        ({"thread_id": None}, None),
        ({}, None),
    ],
)
def test_conversations(metadata: Any, conversation: str | None) -> None:
    """The thread, else the session, else the conversation; never one of our making."""
    assert _translate.conversation_id(metadata) == conversation


def test_own_metadata_is_plain_and_not_the_frameworks() -> None:
    """Live objects and the frameworks' own keys are left out."""
    metadata = {
        "team": "a",
        "tries": 2,
        "live": object(),
        "list": [1],
        "langgraph_step": 1,
        "ls_provider": "openai",
        "lc_agent_name": "x",
        "__pregel": 1,
        "checkpoint_ns": "n",
        "thread_id": "t",
    }

    assert _translate.own_metadata(metadata) == {"team": "a", "tries": 2}


@pytest.mark.parametrize(
    "name, metadata, enclosing, namespace",
    [
        ("plan", {"langgraph_node": "plan", "langgraph_checkpoint_ns": "plan:1"}, None, "plan:1"),
        ("plan", {"langgraph_node": "plan", "langgraph_checkpoint_ns": "plan:1"}, "plan:1", None),
        ("route", {"langgraph_node": "plan", "langgraph_checkpoint_ns": "plan:1"}, None, None),
        ("plan", {"langgraph_node": "plan", "langgraph_checkpoint_ns": ""}, None, None),
        ("plan", {}, None, None),
    ],
    ids=["a node", "a runnable in it", "its router", "no namespace", "no graph"],
)
def test_what_a_task_is(name: str, metadata: Any, enclosing: str | None, namespace: str | None) -> None:
    """A run that has the node's name and a namespace other than that of the task around it."""
    assert _translate.task_namespace(name, metadata, enclosing) == namespace


# --- content ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message, expected",
    [
        ("hi", {"role": "user", "parts": [{"type": "text", "content": "hi"}]}),
        (SystemMessage("be kind"), {"role": "system", "parts": [{"type": "text", "content": "be kind"}]}),
        (AIMessageChunk("hi"), {"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}),
        (HumanMessage(""), {"role": "user", "parts": []}),
        (
            AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "hi"}]),
            {
                "role": "assistant",
                "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "hi"}],
            },
        ),
        (
            AIMessage(
                [{"type": "tool_use", "id": "c", "name": "add", "input": {}}],
                tool_calls=[{"name": "add", "args": {}, "id": "c"}],
            ),
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "add", "arguments": {}}]},
        ),
        (
            HumanMessage([{"type": "audio", "base64": "AAAA"}]),
            {"role": "user", "parts": [{"type": "blob", "modality": "audio", "content": "AAAA"}]},
        ),
        (
            ToolMessage([{"type": "text", "text": "a"}, "b"], tool_call_id="c"),
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "ab"}]},
        ),
    ],
)
def test_messages_in_the_shape_of_the_conventions(message: Any, expected: dict[str, Any]) -> None:
    """Roles and parts; what has no name of its own there keeps the provider's."""
    assert _translate.messages_content([[message]]) == [expected]


def test_each_choice_is_an_output_message() -> None:
    """With its finish reason, if there is one."""
    first = AIMessage("a", response_metadata={"finish_reason": "stop"})

    assert _translate.response_content(answer(first, AIMessage("b"))) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "a"}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "text", "content": "b"}]},
    ]
    assert _translate.response_content(LLMResult(generations=[[Generation(text="c")]])) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "c"}]}
    ]


# --- what a server says beyond LangChain's summary --------------------------------------------------------------------


def test_a_gateways_cache_writes_and_cost_are_kept() -> None:
    """LangChain's summary of a whole answer has no place for some of what LiteLLM's proxy and OpenRouter report."""
    message = AIMessage(
        "x",
        usage_metadata={"input_tokens": 10_100, "output_tokens": 50, "total_tokens": 10_150},
        response_metadata={
            "token_usage": {
                "prompt_tokens": 10_100, "completion_tokens": 50, "total_tokens": 10_150,
                "cache_creation_input_tokens": 10_000, "cost": 0.0063,
            }
        },
    )  # fmt: skip
    assert _translate.usage_of(answer(message)) == (
        Usage(input_tokens=10_100, output_tokens=50, cache_write_input_tokens=10_000, source="provider"),
        False,
    )
    assert _translate.cost_of(answer(message)) == 0.0063
    assert _translate.cost_of(answer(AIMessage("x"))) is None


def test_reasoning_that_only_the_total_tells_of() -> None:
    """XAI's and Gemini's compatible endpoints count it beside the output."""
    xai: Any = {
        "input_tokens": 10_120, "output_tokens": 1_499, "total_tokens": 14_428, "output_token_details": {"reasoning": 2_809},
    }  # fmt: skip
    found, _ = _translate.usage_of(answer(AIMessage("x", usage_metadata=xai)))
    assert found == Usage(input_tokens=10_120, output_tokens=4_308, reasoning_output_tokens=2_809, source="provider")
    gemini: Any = {"input_tokens": 1_000, "output_tokens": 50, "total_tokens": 3_050}
    found, _ = _translate.usage_of(answer(AIMessage("x", usage_metadata=gemini)), model="gemini-2.5-flash")
    assert found == Usage(input_tokens=1_000, output_tokens=2_050, reasoning_output_tokens=2_000, source="provider")


def test_what_langchain_doubles_is_told_once() -> None:
    """A model and a reason that come with two last chunks are added up as texts."""
    doubled = AIMessage("x", response_metadata={"finish_reason": "stopstop", "model_name": "gpt-4o-minigpt-4o-mini"})
    assert _translate.response_attributes(answer(doubled)) == {
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.model": "gpt-4o-mini",
    }


@pytest.mark.parametrize(
    "params, provider",
    [
        ({"base_url": "https://api.x.ai/v1"}, "x_ai"),
        ({"openai_api_base": "https://openrouter.ai/api/v1"}, "openrouter"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, "openai"),
        ({}, "openai"),
    ],
)
def test_a_host_tells_who_answers_in_openais_language(params: dict[str, Any], provider: str) -> None:
    """The client is OpenAI's, the provider is who is behind the address, if it is known."""
    assert _translate.model_request({"ls_provider": "openai"}, params, []).provider == provider
