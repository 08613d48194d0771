"""From AutoGen's objects to the schema: pure functions, without running anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.schema import ErrorInfo, Usage
from ai_dev_squad_autogen import _translate

INFO: Any = {
    "family": "unknown",
    "function_calling": True,
    "vision": False,
    "json_output": True,
    "structured_output": True,
}
CALL = FunctionCall(id="c1", name="look_up", arguments='{"word": "a"}')
CONVERSATION = [
    SystemMessage(content="be brief"),
    UserMessage(content="hello", source="user"),
    AssistantMessage(content=[CALL], source="ann"),
    FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="A", name="look_up", call_id="c1", is_error=False)]
    ),
]


def result(prompt: int = 0, completion: int = 0, **more: Any) -> CreateResult:
    """An answer with these counts."""
    usage = RequestUsage(prompt, completion)
    return CreateResult(**{"finish_reason": "stop", "content": "x", "usage": usage, "cached": False, **more})


@pytest.mark.parametrize(
    "source, content, manager, expected",
    [
        ("MaxMessageTermination", "Maximum number of messages 3 reached", "Manager", "MaxMessageTermination"),
        ("A, B", "both", "Manager", "A, B"),
        ("Manager", "Maximum number of turns 3 reached.", "Manager", "max_turns"),
        ("Manager", "The group chat is stopped.", "Manager", "Manager"),
        ("Manager", "Maximum number of turns 3 reached.", None, "Manager"),
    ],
)
def test_what_stopped_a_team(source: str, content: str, manager: str | None, expected: str) -> None:
    """The condition's class; the limit of turns, which the team's manager reports, by a name of its own."""
    assert _translate.stop_source(source, content, manager) == expected


def test_a_teams_error_in_words() -> None:
    """The type and message of what was raised, without the traceback; other errors are themselves."""
    text = "KeyError: 'x'\nTraceback:\nTraceback (most recent call last):\n..."

    assert _translate.team_error(RuntimeError(text)) == ErrorInfo(type="KeyError", message="'x'")
    assert _translate.team_error(RuntimeError("plain")) is None
    assert _translate.team_error(ValueError(text)) is None
    assert _translate.is_text_of(RuntimeError(text), KeyError("x"))
    assert not _translate.is_text_of(RuntimeError(text), KeyError("y"))
    assert not _translate.is_text_of(ValueError(text), KeyError("x"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_of_an_error(message: str, other: str) -> None:
    """Whatever an error says, it's recognised in the team's text, and nothing raises."""
    original = LookupError(message)

    assert _translate.is_text_of(RuntimeError(f"LookupError: {message}\nTraceback:\n{other}"), original)
    _translate.team_error(RuntimeError(other))


@pytest.mark.parametrize(
    "create, expected",
    [
        ({"model": "gpt-4o"}, ("gpt-4o", "openai")),
        ({"model": "gemini-2.0-flash", "model_info": INFO}, ("gemini-2.0-flash", "gcp.gemini")),
        ({"model": "claude-3-5-haiku-20241022", "model_info": INFO}, ("claude-3-5-haiku-20241022", "anthropic")),
    ],
)
def test_the_provider_of_openais_client(create: dict[str, Any], expected: tuple[str, str]) -> None:
    """OpenAI's client also speaks with others; the model's name says with whom."""
    client = OpenAIChatCompletionClient(api_key="k", **create)
    request = _translate.model_request(client, CONVERSATION, _translate.settings(client, {}))

    assert (request.model, request.provider) == expected


def test_the_provider_of_azures_client() -> None:
    """Azure's deployment of OpenAI is a provider of its own."""
    client = AzureOpenAIChatCompletionClient(
        model="gpt-4o", api_version="2024-06-01", azure_endpoint="https://x.openai.azure.com", api_key="k"
    )

    assert _translate.model_request(client, CONVERSATION, {}).provider == "azure.ai.openai"
    attributes = _translate.model_attributes(client, {}, stream=False, json_output=None)
    assert (attributes["server.address"], attributes["server.port"]) == ("x.openai.azure.com", 443)


def test_a_request() -> None:
    """Model, limit and prompt of one call; what is given for this call alone wins."""
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="k", max_tokens=100, temperature=0.5)

    request = _translate.model_request(
        client, CONVERSATION, _translate.settings(client, {"max_tokens": 7, "model": "gpt-4o-mini"})
    )

    assert (request.model, request.max_output_tokens) == ("gpt-4o-mini", 7)
    assert request.prompt is not None
    assert request.prompt() == [
        ("system", "be brief"),
        ("user", "hello"),
        ("assistant", 'look_up{"word": "a"}'),
        ("tool", "A"),
    ]
    assert _translate.model_attributes(
        client, _translate.settings(client, {"stop": "END", "seed": 3}), stream=True, json_output=True
    ) == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.seed": 3,
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "json",
        "gen_ai.request.stop_sequences": ["END"],
    }


def test_equal_prompts_have_equal_hashes() -> None:
    """The hash is of roles and texts, and shows neither."""
    client = ReplayChatCompletionClient(["x"])

    def hashed(*messages: Any) -> str | None:
        return _translate.model_request(client, messages, {}).prompt_hash

    assert hashed(*CONVERSATION) == hashed(*CONVERSATION)
    assert hashed(UserMessage(content="a", source="u")) != hashed(SystemMessage(content="a"))
    assert len(hashed(*CONVERSATION) or "") == 16


def test_a_client_that_says_nothing() -> None:
    """An unknown client has an unknown model."""
    request = _translate.model_request(SimpleNamespace(), [], {})

    assert (request.model, request.provider, request.max_output_tokens) == ("unknown", "unknown", None)
    assert _translate.model_attributes(SimpleNamespace(), {}, stream=False, json_output=None) == {}


@pytest.mark.parametrize(
    "answer, raw, expected",
    [
        (result(), {}, None),
        (result(7, 3), {}, Usage(input_tokens=7, output_tokens=3, source="provider")),
        # One answer of several that make up the result: the details are not those of the whole.
        (
            result(14, 6),
            {"usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            Usage(input_tokens=14, output_tokens=6, source="provider"),
        ),
        (
            result(),
            {"usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            Usage(input_tokens=7, output_tokens=3, source="provider"),
        ),
    ],
)
def test_usage(answer: CreateResult, raw: dict[str, Any], expected: Usage | None) -> None:
    """The provider's own counts where they are the whole, else AutoGen's; 0 and 0 means that there are none."""
    assert _translate.usage_of(answer, raw) == expected


def test_an_answer() -> None:
    """Attributes and content of an answer; AutoGen's name for tool calls is put right."""
    answer = result(content=[CALL], finish_reason="function_calls", thought="hm")

    assert _translate.response_attributes(answer, {"id": "r1", "model": "m-1"}) == {
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.response.model": "m-1",
        "gen_ai.response.id": "r1",
    }
    call = {"type": "tool_call", "id": "c1", "name": "look_up", "arguments": '{"word": "a"}'}
    assert _translate.answer_content(answer) == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "hm"}, call],
            "finish_reason": "tool_calls",
        }
    ]
    assert _translate.answer_text(answer) == 'hmlook_up{"word": "a"}'


def test_messages() -> None:
    """A conversation in the conventions' shape."""
    assert _translate.messages_content(CONVERSATION) == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hello"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "look_up", "arguments": '{"word": "a"}'}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "A"}]},
    ]


def test_what_autogen_leaves_out_of_its_counts() -> None:
    """Anthropic's cache, and reasoning beside the output, stand in the provider's own answer."""
    cached = {
        "input_tokens": 12,
        "output_tokens": 40,
        "cache_read_input_tokens": 9_000,
        "cache_creation_input_tokens": 500,
    }
    assert _translate.usage_of(result(12, 40), {"usage": cached}) == Usage(
        input_tokens=9_512,
        output_tokens=40,
        cache_read_input_tokens=9_000,
        cache_write_input_tokens=500,
        source="provider",
    )
    xai = {
        "prompt_tokens": 10_120, "completion_tokens": 1_499, "total_tokens": 14_428,
        "completion_tokens_details": {"reasoning_tokens": 2_809},
    }  # fmt: skip
    assert _translate.usage_of(result(10_120, 1_499), {"usage": xai}) == Usage(
        input_tokens=10_120, output_tokens=4_308, reasoning_output_tokens=2_809, source="provider"
    )


class _Picture:
    """Stands for an image of Pillow's."""

    def __init__(self, pixels: bytes) -> None:
        self.tobytes = lambda: pixels


def test_pictures_arguments_and_tools_are_in_the_hash() -> None:
    """Prompts that differ in nothing else are not the same."""
    client = ReplayChatCompletionClient(["x"])

    def hashed(*messages: Any, **more: Any) -> str | None:
        return _translate.model_request(client, messages, {}, **more).prompt_hash

    def shows(pixels: bytes) -> Any:
        return SimpleNamespace(type="UserMessage", content=["see", SimpleNamespace(image=_Picture(pixels))])

    other = FunctionCall(id="c1", name="look_up", arguments='{"word": "b"}')
    hashes = [
        *(hashed(shows(pixels)) for pixels in (b"a", b"b")),
        *(hashed(AssistantMessage(content=[asked], source="ann")) for asked in (CALL, other)),
        hashed(CONVERSATION[0]),
        hashed(CONVERSATION[0], tools=[{"name": "look_up"}]),
        hashed(CONVERSATION[0], json_output=Usage),
    ]
    assert len(set(hashes)) == len(hashes)
    assert hashed(shows(b"a")) == hashes[0]
