"""Agent Framework's objects in the core's schema, without running an agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from agent_framework import AgentResponse, ChatResponse, ChatResponseUpdate, Content, FunctionTool, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_squad.schema import Usage
from ai_dev_squad_agent_framework import _translate
from ai_dev_squad_agent_framework._translate import Answer


class Client(SimpleNamespace):
    """What is read of a chat client."""

    def service_url(self) -> str:
        """Where it asks."""
        return str(self.url)


@pytest.mark.parametrize(
    "client, model, provider",
    [
        ({"otel_provider_name": "openai", "url": "https://api.openai.com/v1/"}, "gpt-4o", "openai"),
        ({"otel_provider_name": "openai", "url": "https://x.openai.azure.com/"}, "gpt-4o", "azure.ai.openai"),
        ({"otel_provider_name": "openai", "url": "https://api.deepseek.com/v1"}, "deepseek-chat", "deepseek"),
        ({"otel_provider_name": "openai", "url": "https://gateway.example/v1"}, "claude-sonnet-4-5", "anthropic"),
        ({"otel_provider_name": "anthropic", "url": "Unknown"}, "claude-sonnet-4-5", "anthropic"),
        ({"otel_provider_name": "azure_openai", "url": "Unknown"}, "gpt-4o", "azure.ai.openai"),
        ({"url": "Unknown"}, "tiny", "unknown"),
    ],
)
def test_a_request(client: dict[str, Any], model: str, provider: str) -> None:
    """Model and provider, whatever language the client speaks; settings; the limit of the answer."""
    options = {"model": model, "temperature": 0.5, "max_tokens": 99, "seed": 7}

    request = _translate.model_request(Client(model="other", **client), [Message("user", ["hi"])], options)

    assert (request.model, request.provider, request.max_output_tokens, request.messages) == (model, provider, 99, 1)
    assert (
        _translate.model_attributes(Client(**client), options, stream=True).items()
        >= {
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 99,
            "gen_ai.request.seed": 7,
            "gen_ai.request.stream": True,
        }.items()
    )


def test_plain_words_are_a_prompt() -> None:
    """A client may be asked in a text, alone or in a list."""
    said = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    asked: list[Any] = ["hi", ["hi"], Message("user", ["hi"]), [Message("user", ["hi"])]]
    assert [_translate.messages_content(messages, {}) for messages in asked] == [said] * 4
    assert list(_translate.tools_not_run(["hi"], set())) == []


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def test_equal_prompts_have_equal_hashes() -> None:
    """The ids of tool calls, new each time, don't count; text, tools and the format of the answer do."""

    def marks(text: str = "hi", call_id: str = "a", tools: Any = None, **options: Any) -> str | None:
        messages = [
            Message("user", [text]),
            Message("assistant", [Content.from_function_call(call_id, "look_up", arguments='{"word":"fig"}')]),
            Message("tool", [Content.from_function_result(call_id, result="FIG")]),
        ]
        options = {"instructions": "You help.", "tools": tools, **options}
        return _translate.model_request(Client(url="Unknown"), messages, options).prompt_hash

    tool = FunctionTool(name="look_up", description="Look a word up.", func=look_up)
    same = {marks(), marks(call_id="b")}
    others = {
        marks("ho"),
        marks(tools=[tool]),
        marks(response_format={"type": "json_object"}),
        marks(instructions="No."),
    }
    assert (len(same), len(others), same & others) == (1, 4, set())


def test_parts_of_all_kinds() -> None:
    """Text, reasoning, calls, results, pictures; what has no name in the conventions keeps its own, and usage is none."""
    contents = [
        Content.from_text("see"),
        Content.from_text_reasoning(text="hm"),
        Content.from_function_call("1", "look_up", arguments={"word": "fig"}),
        Content.from_function_result("1", result="FIG"),
        Content.from_uri("https://x.example/a.png", media_type="image/png"),
        Content.from_usage({"input_token_count": 1}),
        Content("hosted_file", file_id="f-1"),
    ]

    (message,) = _translate.messages_content([Message("assistant", contents)], {})

    assert message == {
        "role": "assistant",
        "parts": [
            {"type": "text", "content": "see"},
            {"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "id": "1", "name": "look_up", "arguments": {"word": "fig"}},
            {"type": "tool_call_response", "id": "1", "response": "FIG"},
            {
                "type": "uri",
                "modality": "image",
                "mime_type": "image/png",
                "uri": "https://x.example/a.png",
            },
            {"type": "hosted_file"},
        ],
    }


@pytest.mark.parametrize(
    "details, usage",
    [
        ({"input_token_count": 9, "output_token_count": 3}, Usage(input_tokens=9, output_tokens=3, source="provider")),
        (
            {
                "input_token_count": 9,
                "output_token_count": 3,
                "cache_read_input_token_count": 4,
                "cache_creation_input_token_count": 2,
                "reasoning_output_token_count": 1,
            },
            Usage(
                input_tokens=9,
                output_tokens=3,
                cache_read_input_tokens=4,
                cache_write_input_tokens=2,
                reasoning_output_tokens=1,
                source="provider",
            ),
        ),
        (
            {"input_token_count": 9, "prompt/cached_tokens": 4, "completion/reasoning_tokens": 1},
            Usage(input_tokens=9, cache_read_input_tokens=4, reasoning_output_tokens=1, source="provider"),
        ),
        ({"input_token_count": 0, "output_token_count": 0}, None),
        ({"input_token_count": None}, None),
        ({}, None),
    ],
)
def test_usage(details: Any, usage: Usage | None) -> None:
    """As of an answer, so of the updates of a stream; nothing but zeros is unknown, which is not zero."""
    whole = ChatResponse(messages=Message("assistant", ["hi"]), usage_details=details)
    update = ChatResponseUpdate(contents=[Content.from_usage(details)], role="assistant")

    assert (Answer([whole]).usage(), Answer([update]).usage()) == (usage, usage)


@settings(max_examples=50)
@given(st.lists(st.text(), min_size=1, max_size=6))
def test_a_text_in_pieces_is_the_text(pieces: list[str]) -> None:
    """However it is cut, what was streamed is what was said."""
    updates = [ChatResponseUpdate(contents=[Content.from_text(piece)], role="assistant") for piece in pieces]

    assert "".join(part["content"] for part in Answer(updates).parts()) == "".join(pieces)
    assert Answer(updates).text() == "".join(pieces)


def test_a_tool_call_in_pieces() -> None:
    """The pieces of its arguments are one call; the next call is another."""
    pieces = [("1", "look_up", '{"wo'), ("", "", 'rd":"fig"}'), ("2", "look_up", "{}")]
    updates = [
        ChatResponseUpdate(contents=[Content.from_function_call(call_id, name, arguments=arguments)], role="assistant")
        for call_id, name, arguments in pieces
    ]

    assert _translate.compared(Answer(updates)) == [("look_up", '{"word":"fig"}'), ("look_up", "{}")]


def test_hand_offs_and_questions() -> None:
    """Only what a hand-off tool gives is one; a question to a person has an id that its answer knows."""
    call = Content.from_function_call("1", "publish", arguments={})
    question = Content.from_function_approval_request("q-1", call)
    answer = question.to_function_approval_response(approved=True)

    results = ['{"handoff_to": "billing"}', '{"handoff_to": "a", "b": 1}', "handoff_to billing", '{"handoff_to": 1}']
    targets = [_translate.handed_to(Content.from_function_result("1", result=result)) for result in results]
    assert targets == ["billing", None, None, None]
    assert (_translate.asked_person(question), _translate.asked_person(call)) == ("q-1", None)
    assert _translate.approved([Message("user", [answer])]) == ["q-1"]
    assert (_translate.approved("hi"), _translate.approved(None), _translate.approved(["hi"])) == ([], [], [])
    (asked,) = Answer([AgentResponse(messages=[Message("assistant", [question])])]).contents()
    assert asked.id == "q-1"


@pytest.mark.parametrize(
    "name, shown",
    [
        ("desk", "desk"),
        (None, "workflow"),
        ("", "workflow"),
        ("WorkflowBuilder-0b8f6a6e-0c0c-4b0a-8f6a-6e0c0c4b0a8f", "workflow"),
        ("WorkflowBuilder-mine", "WorkflowBuilder-mine"),
    ],
)
def test_names_of_workflows(name: str | None, shown: str) -> None:
    """A name that is made up anew for each instance says nothing."""
    assert _translate.workflow_name(name) == shown
