"""From CrewAI's objects to the schema: pure functions, whole results."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.schema import Usage
from ai_dev_squad_crewai import _translate


def event(**fields: Any) -> Any:
    """An event with these fields; older releases lack the others."""
    return SimpleNamespace(**fields)


@pytest.mark.parametrize(
    "llm, model, provider, name",
    [
        ({"provider": "openai"}, "gpt-4o", "openai", "gpt-4o"),
        ({"provider": "anthropic"}, "claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ({"provider": "gemini"}, "gemini-2.5-flash", "gcp.gemini", "gemini-2.5-flash"),
        ({"provider": "bedrock"}, "us.amazon.nova-lite-v1:0", "aws.bedrock", "us.amazon.nova-lite-v1:0"),
        ({"provider": "azure", "endpoint": "https://x.openai.azure.com"}, "gpt-4o", "azure.ai.openai", "gpt-4o"),
        ({"provider": "azure", "endpoint": "https://x.services.ai.azure.com"}, "phi", "azure.ai.inference", "phi"),
        ({"provider": "openai", "is_litellm": True}, "groq/llama-3.3-70b", "groq", "llama-3.3-70b"),
        ({"provider": "openai", "is_litellm": True}, "vertex_ai/gemini-2.5-pro", "gcp.vertex_ai", "gemini-2.5-pro"),
        ({"provider": "openrouter"}, "openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ({"provider": "openai"}, "openai/gpt-4o", "openai", "gpt-4o"),
        ({}, "own-model", "openai", "own-model"),
    ],
)
def test_provider_and_model(llm: dict[str, Any], model: str, provider: str, name: str) -> None:
    """Providers have the conventions' names; LiteLLM's prefixes name the provider and are no part of the model."""
    request = _translate.model_request(SimpleNamespace(**llm), event(model=model))

    assert (request.provider, request.model) == (provider, name)


def test_model_request() -> None:
    """What is known before the call: the limit, the prompt on demand, a hash of it."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}]}]

    request = _translate.model_request(
        SimpleNamespace(provider="openai"), event(model="m", messages=messages, max_tokens=50)
    )

    assert isinstance(request, ModelRequest)
    assert request.max_output_tokens == 50
    assert request.prompt is not None
    assert request.prompt() == [("system", "s"), ("user", "u")]
    same = _translate.model_request(SimpleNamespace(), event(model="other", messages=[dict(m) for m in messages]))
    assert same.prompt_hash == request.prompt_hash
    other = _translate.model_request(SimpleNamespace(), event(model="m", messages=messages[:1]))
    assert other.prompt_hash != request.prompt_hash


@pytest.mark.parametrize("limit", [None, 0, -1, float("inf"), "many"])
def test_no_limit(limit: Any) -> None:
    """What is no limit isn't taken for one."""
    assert _translate.model_request(SimpleNamespace(), event(model="m", max_tokens=limit)).max_output_tokens is None


def test_model_attributes() -> None:
    """The conventions' names; what isn't set is left out."""
    call = event(temperature=0.0, top_p=0.5, max_tokens=9, seed=7, stop_sequences=["x"], n=2, stream=True)

    assert _translate.model_attributes(SimpleNamespace(base_url="http://localhost:8080/v1"), call) == {
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stream": True,
        "server.address": "localhost",
        "server.port": 8080,
    }
    assert _translate.model_attributes(SimpleNamespace(endpoint="https://e.example"), event()) == {
        "server.address": "e.example",
        "server.port": 443,
    }
    assert _translate.model_attributes(SimpleNamespace(), event()) == {}


def test_response_attributes() -> None:
    """Id and reason, where there are any."""
    assert _translate.response_attributes(event(response_id="r", finish_reason="stop")) == {
        "gen_ai.response.id": "r",
        "gen_ai.response.finish_reasons": ["stop"],
    }
    assert _translate.response_attributes(event()) == {}


NOTHING = {"total_tokens": 0, "prompt_tokens": 0, "completion_tokens": 0, "successful_requests": 0}


@pytest.mark.parametrize(
    "usage, after, expected",
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, None, (5, False)),
        (
            None,
            {"total_tokens": 9, "prompt_tokens": 7, "completion_tokens": 2, "successful_requests": 1},
            (7, True),
        ),
        (
            {"total_tokens": 0},
            {"total_tokens": 9, "prompt_tokens": 7, "completion_tokens": 2, "successful_requests": 2},
            (None, False),
        ),
        (None, NOTHING, (None, False)),
        (None, None, (None, False)),
    ],
)
def test_usage_in(usage: Any, after: Any, expected: tuple[int | None, bool]) -> None:
    """The event's report, else what the totals grew by if that was one request, else nothing."""
    found, from_totals = _translate.usage_in(event(usage=usage), NOTHING, after)

    assert (None if found is None else found.input_tokens, from_totals) == expected
    assert found is None or isinstance(found, Usage)


CALL = (("search", '{"word": "x"}'), "c1")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(
            [{"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"word":"x"}'}}], id="openai"
        ),
        pytest.param([{"id": "c1", "type": "tool_use", "name": "search", "input": {"word": "x"}}], id="anthropic"),
        pytest.param([{"id": "c1", "name": "search", "args": {"word": "x"}}], id="gemini"),
        pytest.param([{"toolUseId": "c1", "name": "search", "input": {"word": "x"}}], id="bedrock"),
        pytest.param([{"call_id": "c1", "name": "search", "arguments": '{"word": "x"}'}], id="responses"),
        pytest.param(
            [SimpleNamespace(id="c1", function=SimpleNamespace(name="search", arguments='{"word": "x"}'))], id="object"
        ),
    ],
)
def test_tool_call_ids(response: Any) -> None:
    """Every provider's tool calls match the tools that run for them."""
    assert _translate.tool_call_ids(response) == [CALL]
    assert _translate.tool_call_key("search", {"word": "x"}) == CALL[0]


@pytest.mark.parametrize("response", [None, "text", {"a": 1}, [], ["text"], [{"name": "search"}], [None]])
def test_no_tool_calls(response: Any) -> None:
    """Other answers hold none."""
    assert _translate.tool_call_ids(response) == []


@given(st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.integers())))
def test_any_arguments_make_a_key(arguments: Any) -> None:
    """Arguments that are no JSON, or nothing, make a key as well."""
    name, key = _translate.tool_call_key("t", arguments)

    assert name == "t"
    assert isinstance(key, str)


@pytest.mark.parametrize(
    "response, text",
    [
        ("hello", "hello"),
        (None, ""),
        ({"a": 1}, '{"a": 1}'),
        ([{"id": "c1", "function": {"name": "f", "arguments": "{}"}}], "f{}"),
    ],
)
def test_answer_text(response: Any, text: str) -> None:
    """The text whose tokens are estimated."""
    assert _translate.answer_text(response) == text


def test_names() -> None:
    """Tasks have their own name or their place; agents the role as it was written, not as it was filled in."""
    tasks = [SimpleNamespace(name=None), SimpleNamespace(name="plan"), SimpleNamespace(name="")]
    crew = SimpleNamespace(tasks=tasks)

    assert [_translate.task_name(task, crew) for task in tasks] == ["task 1", "plan", "task 3"]
    assert _translate.task_name(tasks[0], None) == "task"
    assert (
        _translate.role_of(SimpleNamespace(role="AI planner ", _original_role="{topic} planner ")) == "{topic} planner"
    )
    assert _translate.role_of(SimpleNamespace(role="planner\n")) == "planner"
    assert _translate.role_of(SimpleNamespace()) == "agent"
