"""From the SDK's objects to the core's schema, without a run."""

from __future__ import annotations

from typing import Any

import pytest
from agents import (
    AgentOutputSchema,
    ModelSettings,
    OpenAIChatCompletionsModel,
    RunConfig,
    SQLiteSession,
    UserError,
    function_tool,
)
from hypothesis import given
from hypothesis import strategies as some
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from openai.types.shared import Reasoning
from pydantic import BaseModel

from ai_dev_squad import BudgetExceeded
from ai_dev_squad_openai_agents import _translate


class City(BaseModel):
    """A structured answer."""

    name: str


def model(name: str, base_url: str | None = None) -> OpenAIChatCompletionsModel:
    """A model at an address."""
    return OpenAIChatCompletionsModel(name, AsyncOpenAI(api_key="sk-test", base_url=base_url))


class OfLiteLLM:
    """A model whose name says the provider, as LiteLLM's."""

    def __init__(self, name: str) -> None:
        self.model, self.base_url = name, None


@pytest.mark.parametrize(
    "asked, expected",
    [
        pytest.param(model("gpt-4o-mini"), "openai", id="OpenAI"),
        pytest.param(model("mistral-small", "https://api.mistral.ai/v1"), "mistral_ai", id="by the host"),
        pytest.param(OfLiteLLM("anthropic/claude-sonnet-4-5"), "anthropic", id="by the name"),
        pytest.param(OfLiteLLM("acme/model"), "openai", id="a name of nobody known"),
    ],
)
def test_the_provider(asked: Any, expected: str) -> None:
    """Whom a model asks, by its host or the name that it has for LiteLLM."""
    request = _translate.model_request(asked, [], {}, [], None)

    assert (request.provider, request.model) == (expected, asked.model)


def test_a_request() -> None:
    """Settings, the limit, the messages and tools of an estimate, and that JSON is asked for."""
    found = ModelSettings(
        temperature=0.5, max_tokens=99, reasoning=Reasoning(effort="low"), extra_args={"service_tier": "flex"}
    )
    settings = _translate.settings(found)
    schema = AgentOutputSchema(City)

    @function_tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    offered = _translate.offered([look_up], [])
    said = _translate.messages("you are", [{"role": "user", "content": "hi"}])
    request = _translate.model_request(model("gpt-4o-mini"), said, settings, offered, schema)

    assert request.prompt is not None
    assert list(request.prompt())[:2] == [("system", "you are"), ("user", "hi")]
    assert (request.max_output_tokens, request.service_tier, request.messages) == (99, "flex", 2)
    assert _translate.model_attributes(model("gpt-4o-mini"), settings, schema, stream=True) == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "json",
        "server.address": "api.openai.com",
        "server.port": 443,
    }


def test_equal_prompts_have_equal_hashes() -> None:
    """Whatever the ids of tool calls; another tool or format is another prompt."""

    def hashed(identity: str, told: Any = (), schema: Any = None) -> str:
        called = {"type": "function_call", "name": "look_up", "arguments": "{}", "call_id": identity}
        said = _translate.messages(None, [{"role": "user", "content": "hi"}, called])
        return str(_translate.model_request(model("gpt-4o-mini"), said, {}, told, schema).prompt_hash)

    assert hashed("one") == hashed("two")
    assert len({hashed("one"), hashed("one", [{"name": "other"}]), hashed("one", schema=AgentOutputSchema(City))}) == 3


@given(some.text())
def test_arguments_of_any_kind(text: str) -> None:
    """JSON is a structure; what is none stays a text."""
    found = _translate.arguments(text)

    assert found == text or not isinstance(found, str) or text.lstrip().startswith('"')


def test_an_answer() -> None:
    """Its text counts for an estimate, and its calls are compared without their ids."""
    text = ResponseOutputText(text="hello", type="output_text", annotations=[])
    output = [
        ResponseOutputMessage(id="1", content=[text], role="assistant", status="completed", type="message"),
        ResponseFunctionToolCall(id="2", call_id="3", name="look_up", arguments='{"word":"a"}', type="function_call"),
    ]

    assert _translate.compared(output) == ["hello", ("look_up", '{"word":"a"}')]
    assert _translate.answer_text(output) == 'hellolook_up{"word":"a"}'


def test_a_refusal_is_found_in_what_was_made_of_it() -> None:
    """An error of the SDK has it as its cause; others have none."""
    refusal = BudgetExceeded("no")
    wrapped = UserError("Error running tool")
    wrapped.__cause__ = refusal

    assert _translate.refusal_in(wrapped) is refusal
    assert _translate.refusal_in(refusal) is refusal
    assert _translate.refusal_in(UserError("other")) is None


@pytest.mark.parametrize(
    "settings, expected",
    [
        pytest.param({}, None, id="none"),
        pytest.param({"session": SQLiteSession("desk")}, "desk", id="a session"),
        pytest.param({"conversation_id": "conv_1"}, "conv_1", id="the provider's conversation"),
        pytest.param({"run_config": RunConfig(group_id="group")}, "group", id="a group of traces"),
        pytest.param({"run_config": {"group_id": "group"}}, "group", id="as a mapping"),
    ],
)
def test_the_conversation(settings: dict[str, Any], expected: str | None) -> None:
    """What a run belongs to, by whatever the program says."""
    assert _translate.session_id(settings) == expected
    if session := settings.get("session"):
        session.close()
