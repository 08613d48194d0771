"""From Pydantic AI's objects to the core's schema, without running an agent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from ai_dev_squad.genai.messages import countable, input_messages
from ai_dev_squad.schema import Usage
from ai_dev_squad_pydantic_ai import _translate

CONVERSATION: list[Any] = [
    ModelRequest(parts=[SystemPromptPart("You help."), UserPromptPart("What is a fig?")], instructions="Be brief."),
    ModelResponse(parts=[ThinkingPart("Hm."), ToolCallPart("look_up", {"word": "fig"}, tool_call_id="c1")]),
    ModelRequest(parts=[ToolReturnPart("look_up", "a fruit", tool_call_id="c1")], instructions="Be brief."),
]


def test_messages_in_the_conventions_shape() -> None:
    """One message for each part of a request, instructions first; an answer is one message of several parts."""
    assert _translate.prompt_content(CONVERSATION, ModelRequestParameters()) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "system", "parts": [{"type": "text", "content": "You help."}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is a fig?"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm."},
                {"type": "tool_call", "id": "c1", "name": "look_up", "arguments": {"word": "fig"}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "a fruit"}]},
    ]


def test_pictures_are_known_by_what_they_show() -> None:
    """Their data is in no message, and two pictures are two prompts; each is counted as a picture."""
    asked = [
        _translate.messages_content(
            [ModelRequest(parts=[UserPromptPart(["Look:", BinaryContent(data, media_type="image/png")])])]
        )
        for data in (b"one", b"two")
    ]
    assert asked[0] != asked[1]
    assert b"one" not in str(asked[0]).encode()
    assert countable(asked[0]) == [("user", ["Look:", {"type": "image"}])]
    linked = ModelRequest(parts=[UserPromptPart([ImageUrl("https://example.org/fig.png")])])
    assert input_messages(_translate.messages_content([linked])) == [
        {"role": "user", "parts": [{"type": "uri", "modality": "image", "uri": "https://example.org/fig.png"}]}
    ]


def request(messages: Any = CONVERSATION, tools: Any = (), model: str = "gpt-4o-mini", **settings: Any) -> Any:
    """What is known of a request to a model at OpenAI's address."""
    made = OpenAIChatModel(model, provider=OpenAIProvider(api_key="sk-test"))
    asked = ModelRequestParameters(function_tools=list(tools))
    return _translate.model_request(made, messages, _translate.settings_of(made, settings), asked)


def test_a_request() -> None:
    """Model, provider, limits and tier; the prompt's hash tells prompts apart by their tools, too."""
    found = request(max_tokens=40, openai_service_tier="flex")
    assert (found.model, found.provider, found.max_output_tokens, found.service_tier, found.messages) == (
        "gpt-4o-mini", "openai", 40, "flex", 5)  # fmt: skip
    tool = ToolDefinition(name="look_up", description="Look a word up.")
    hashes = {request().prompt_hash, request(tools=[tool]).prompt_hash, request(CONVERSATION[:1]).prompt_hash}
    assert len(hashes) == 3
    assert request().prompt_hash == request().prompt_hash


@pytest.mark.parametrize(
    "usage, expected",
    [
        (RequestUsage(), None),
        (RequestUsage(input_tokens=7, output_tokens=3), Usage(input_tokens=7, output_tokens=3, source="provider")),
        (
            RequestUsage(input_tokens=200, output_tokens=30, cache_read_tokens=64, cache_write_tokens=8,
                         details={"reasoning_tokens": 12}),
            Usage(input_tokens=200, output_tokens=30, cache_read_input_tokens=64, cache_write_input_tokens=8,
                  reasoning_output_tokens=12, source="provider"),
        ),
    ],
)  # fmt: skip
def test_usage(usage: RequestUsage, expected: Usage | None) -> None:
    """Two zeros say that nothing was told."""
    assert _translate.usage_of(ModelResponse(parts=[], usage=usage)) == expected


def test_an_answer() -> None:
    """In the provider's word why it ended; compared without the ids of its tool calls."""
    answer = ModelResponse(
        parts=[TextPart("I look."), ToolCallPart("look_up", '{"word": "fig"}', tool_call_id="c1")],
        finish_reason="tool_call",
        model_name="gpt-4o-mini-2024-07-18",
    )
    assert _translate.finish_reason(answer) == "tool_calls"
    assert _translate.compared(answer) == ["I look.", ("look_up", '{"word": "fig"}')]
    assert _translate.answer_text(answer) == 'I look.look_up{"word": "fig"}'
