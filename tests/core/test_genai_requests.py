"""What a request asks for comes out in the conventions' words, and equal prompts have equal hashes whoever holds them."""

from __future__ import annotations

import gc
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.genai import requests
from ai_dev_squad.genai.requests import (
    model_request,
    offered,
    output_limit,
    prompt_hash,
    prompt_marks,
    provider_speaking_openai,
    request_attributes,
    server_attributes,
)
from ai_dev_squad.kinds import ModelRequest


@pytest.mark.parametrize(
    "settings, expected",
    [
        pytest.param(
            {
                "temperature": 0.0, "top_p": 0.5, "max_completion_tokens": 9, "seed": 7, "stop": "END", "n": 2,
                "stream": True, "reasoning_effort": "high", "response_format": {"type": "json_object"},
                "frequency_penalty": 0.1, "presence_penalty": 0.2,
            },
            {
                "temperature": 0.0, "top_p": 0.5, "max_tokens": 9, "seed": 7, "stop_sequences": ["END"],
                "choice.count": 2, "stream": True, "reasoning.level": "high", "output": "json",
                "frequency_penalty": 0.1, "presence_penalty": 0.2,
            },
            id="openai chat",
        ),
        pytest.param(
            {"max_output_tokens": 9, "reasoning": {"effort": "low"}, "text": {"format": {"type": "json_schema"}}},
            {"max_tokens": 9, "reasoning.level": "low", "output": "json"},
            id="openai responses",
        ),
        pytest.param(
            {"max_tokens": 9, "top_k": 4, "stop_sequences": ["a", "b"]},
            {"max_tokens": 9, "top_k": 4, "stop_sequences": ["a", "b"]},
            id="anthropic",
        ),
        pytest.param(
            {
                "generationConfig": {
                    "maxOutputTokens": 9, "topP": 0.5, "topK": 4, "candidateCount": 2, "stopSequences": ["a"],
                    "responseMimeType": "application/json",
                }
            },
            {"max_tokens": 9, "top_p": 0.5, "top_k": 4, "choice.count": 2, "stop_sequences": ["a"], "output": "json"},
            id="gemini",
        ),
        pytest.param(
            {"inferenceConfig": {"maxTokens": 9, "topP": 0.5}}, {"max_tokens": 9, "top_p": 0.5}, id="bedrock"
        ),
        pytest.param(
            {"options": {"num_predict": 9, "temperature": 0.2}, "format": "json", "stream": False},
            {"max_tokens": 9, "temperature": 0.2, "output": "json"},
            id="ollama",
        ),
        pytest.param({"p": 0.5, "k": 4}, {"top_p": 0.5, "top_k": 4}, id="cohere"),
        pytest.param(
            {
                "temperature": None, "n": 1, "stop": None, "max_tokens": True, "top_p": object(), "seed": math.nan,
                "response_format": {"type": "text"}, "reasoning": None, "options": None, "stream": None,
            },
            {},
            id="what is not set, is usual, or is no plain value",
        ),
    ],
)  # fmt: skip
def test_settings(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    """Every provider's and client's name of a setting means the convention's."""
    names = {"output": "gen_ai.output.type"}
    assert request_attributes(settings) == {
        names.get(name, f"gen_ai.request.{name}"): value for name, value in expected.items()
    }
    limit, choices = expected.get("max_tokens"), expected.get("choice.count", 1)
    assert output_limit(settings) == (None if limit is None else limit * choices)


def test_all_choices_together_are_limited() -> None:
    """Each choice may be as long as the limit says, and of ``best_of`` all are billed (delm#65, litellm#27509)."""
    assert output_limit({"max_tokens": 9, "n": 2, "best_of": 5}) == 45
    assert output_limit({"generationConfig": {"maxOutputTokens": 9, "candidateCount": 3}}) == 27
    assert output_limit({"max_tokens": 9, "n": 0}) == output_limit({"max_tokens": 9, "n": "all"}) == 9


def test_streaming_is_said_by_the_request_or_by_who_makes_it() -> None:
    """A client knows it better than its settings."""
    assert request_attributes({"stream": True}, stream=False) == {}
    assert request_attributes({}, stream=True) == {"gen_ai.request.stream": True}


@pytest.mark.parametrize("limit", [None, 0, -1, 1 << 60, math.inf, "many", True])
def test_no_limit(limit: Any) -> None:
    """What is no limit is not taken for one."""
    assert output_limit({"max_tokens": limit}) is None


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://api.openai.com/v1", ("api.openai.com", 443)),
        ("http://localhost:8080", ("localhost", 8080)),
        ("wss://a.example/x", ("a.example", 443)),
        ("a.example:99/v1", ("a.example", 99)),
        ("a.example", ("a.example", None)),
        (SimpleNamespace(), (None, None)),
        ("http://[bad", (None, None)),
        ("http://a:port/", (None, None)),
        (None, (None, None)),
        ("", (None, None)),
    ],
)
def test_servers(url: Any, expected: tuple[str | None, int | None]) -> None:
    """Address and port of a URL, the scheme's port if it names none; nothing for what is no address."""
    found = server_attributes(url)
    assert (found.get("server.address"), found.get("server.port")) == expected or not isinstance(url, (str, type(None)))
    found["changed"] = 1
    assert "changed" not in server_attributes(url)


@pytest.mark.parametrize(
    "url, model, provider",
    [
        ("https://api.groq.com/openai/v1", "llama-3.3-70b", "groq"),
        ("https://api.groq.com/openai/v1", "gemini-2.5-pro", "groq"),
        ("http://gateway.example/v1", "claude-opus-4-5", "anthropic"),
        ("http://gateway.example/v1", "gpt-4o", "openai"),
        (None, "gpt-4o", "openai"),
    ],
)
def test_whom_a_client_asks_that_speaks_openais_language(url: str | None, model: str, provider: str) -> None:
    """The address tells; where it is nobody's that we know, the model's maker; else it is OpenAI."""
    assert provider_speaking_openai(url, model) == provider


# --- hashes -----------------------------------------------------------------------------------------------------------

IMAGE = "data:image/png;base64,iVBORw0KGgo="
OPENAI = [
    {"role": "system", "content": "be brief"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
    },
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": '{"at": "it", "n": 1}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
]
LANGCHAIN = [
    SimpleNamespace(type="system", content="be brief", tool_calls=None),
    SimpleNamespace(
        type="human",
        content=[{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
    ),
    SimpleNamespace(type="ai", content="", tool_calls=[{"id": "x9", "name": "look", "args": {"n": 1, "at": "it"}}]),
    SimpleNamespace(type="tool", content="a cat", tool_call_id="x9"),
]
AUTOGEN = [
    SimpleNamespace(type="SystemMessage", content="be brief"),
    SimpleNamespace(
        type="UserMessage",
        content=[
            "what is it?",
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgo="},
        ],
    ),
    SimpleNamespace(
        type="AssistantMessage",
        content=[SimpleNamespace(id="c", name="look", arguments='{"n":1,"at":"it"}')],
        thought=None,
    ),
    SimpleNamespace(type="FunctionExecutionResultMessage", content=[SimpleNamespace(call_id="c", content="a cat")]),
]
ANTHROPIC = [
    ("system", "be brief"),
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ],
    },
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "look", "input": {"at": "it", "n": 1}}]},
    {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "a cat"}]},
]


def test_the_same_chat_has_the_same_hash_whoever_holds_it() -> None:
    """OpenAI's and Anthropic's JSON, and the message objects of LangChain and AutoGen, hash alike."""
    assert len({prompt_hash(chat) for chat in (OPENAI, LANGCHAIN, AUTOGEN, ANTHROPIC)}) == 1
    assert len(prompt_hash(OPENAI)) == 16


def test_everything_that_the_model_sees_is_in_the_hash() -> None:
    """Roles, texts, pictures, arguments and results of tool calls, tools and the format of the answer; ids are not."""
    tool = {"type": "function", "function": {"name": "look", "description": "looks", "parameters": {"type": "object"}}}
    hashes = [
        prompt_hash(OPENAI),
        *(prompt_hash([{**item, "role": "x"} if i == place else item for i, item in enumerate(OPENAI)]) for place in range(4)),
        prompt_hash([OPENAI[0], {"role": "user", "content": "what is it?"}, *OPENAI[2:]]),
        prompt_hash([*OPENAI[:1], {"role": "user", "content": [{"type": "image_url", "image_url": IMAGE[:-3]}]}]),
        prompt_hash([*OPENAI[:2], {"role": "assistant", "tool_calls": [{"name": "look", "args": {"at": "me"}}]}]),
        prompt_hash([*OPENAI[:3], {"role": "tool", "tool_call_id": "c1", "content": "a dog"}]),
        prompt_hash(OPENAI[:3]),
        prompt_hash([]),
        prompt_hash([("user", "ab")]),
        prompt_hash([("user", "a"), ("user", "b")]),
        prompt_hash(OPENAI, [tool]),
        prompt_hash(OPENAI, [{**tool, "function": {**tool["function"], "parameters": {"type": "string"}}}]),
        prompt_hash(OPENAI, [tool, tool]),
        prompt_hash(OPENAI, None, {"type": "json_object"}),
        prompt_hash(OPENAI, None, SimpleNamespace),
    ]  # fmt: skip
    assert len(set(hashes)) == len(hashes)
    other = [*OPENAI[:2], {**OPENAI[2], "tool_calls": [{**OPENAI[2]["tool_calls"][0], "id": "c2"}]}]  # type: ignore[dict-item, index]
    assert prompt_hash(other) == prompt_hash(OPENAI[:3])
    assert prompt_hash(OPENAI, [tool]) == prompt_hash(OPENAI, [{**tool["function"]}])  # type: ignore[dict-item]


class _Mapping(dict[str, Any]):
    """Any mapping but a plain dictionary, which is read more slowly."""


@pytest.mark.parametrize(
    "message",
    [
        {"role": "ai", "parts": [{"type": "tool_call", "id": "c", "name": "look", "arguments": '{"at": "it"}'}]},
        {"role": "ai", "parts": [{"type": "text", "content": ""}, {"type": "tool_call", "id": "c", "name": "look", "arguments": {}}]},
        {"role": "ai", "parts": [{"type": "tool_call", "id": "c", "name": "look", "arguments": None}]},
        {"role": "ai", "parts": [{"type": "tool_call", "id": "c", "name": "look", "arguments": "{}", "index": 1}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "a cat"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": [{"type": "text", "text": "a cat"}]}]},
        {"role": "user", "parts": [{"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUJD"}]},
        {"role": "", "parts": [{"type": "text", "content": "hello"}]},
        {"role": "user", "parts": []},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"at": "it"}'},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "no JSON", "role": "user"},
        {"type": "function_call_output", "call_id": "c", "output": "a cat"},
        {"type": "function_call_output", "call_id": "c", "output": "a cat", "response": "a dog"},
    ],
)  # fmt: skip
def test_what_is_hashed_at_once_is_what_is_read(message: dict[str, Any]) -> None:
    """Calls of tools and their results hash as they do where each part of them is read."""
    assert prompt_marks([message, message]) == prompt_marks([_Mapping(message), _Mapping(message)])


class _Tool:
    pass


def test_the_definition_of_a_tool_is_kept() -> None:
    """As long as the tool is there and says the same; one that cannot be referred to weakly has a new one each time."""
    tool, schema = _Tool(), {"type": "object"}
    first = offered(tool, "look", "looks", schema)
    assert first == {"name": "look", "description": "looks", "parameters": schema}
    assert offered(tool, "look", "looks", schema) is first
    assert offered(tool, "look", "stares", schema) == {**first, "description": "stares"}
    assert prompt_hash([], [first]) == prompt_hash([], [{**first}]) == prompt_hash([], [offered(7, *first.values())])


class _Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not for you")


@given(
    st.lists(
        st.recursive(
            st.one_of(
                st.none(), st.text(), st.integers(), st.floats(), st.booleans(), st.builds(object), st.builds(_Hostile)
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(["role", "content", "type", "text", "tool_calls", "image_url"]), inner),
            ),
            max_leaves=8,
        ),
        max_size=3,
    )
)
def test_anything_can_be_hashed(messages: list[Any]) -> None:
    """Also lone surrogates, cycles and objects that raise; the same twice is the same hash."""
    assert len(prompt_hash(messages, messages, messages)) == 16
    assert prompt_hash(["\ud800", *messages]) == prompt_hash(["\ud800", *messages])


class _Said:
    """A message as client libraries have them."""

    def __init__(self, content: Any, **more: Any) -> None:
        self.role, self.content = "user", content
        self.__dict__.update(more)


def test_a_conversation_that_is_sent_again_has_the_hash_of_what_it_says_now() -> None:
    """Messages that were hashed before are known again, unless they say something else by now."""

    def conversation() -> list[Any]:
        return [_Said("first"), {"role": "user", "content": "second"}, _Said("third"), _Said([{"text": "fourth"}])]

    again = conversation()
    assert [prompt_marks(again), prompt_marks(again)] == [prompt_marks(conversation())] * 2
    again[2].content = "something else"
    expected = conversation()
    expected[2] = _Said("something else")
    assert prompt_marks(again) == prompt_marks(expected)


def test_nothing_is_kept_of_a_message_that_is_gone() -> None:
    """What is known of it goes with it."""
    before = len(requests._said)
    messages = [_Said(f"number {number}") for number in range(10)]
    prompt_hash(messages)
    assert len(requests._said) == before + 10
    del messages
    gc.collect()
    assert len(requests._said) == before


def test_what_is_known_of_a_call_before_it_is_made() -> None:
    """The request has the marks of its prompt, and the limit and the tier of its settings, by any of their names."""
    messages = [{"role": "user", "content": "hello"}]

    def prompt() -> str:
        return "hello"

    settings = {"max_completion_tokens": 400, "service_tier": "Flex"}
    made = model_request("gpt-4o", "openai", settings, messages, prompt=prompt)

    marks = prompt_marks(messages)
    assert made == ModelRequest(
        model="gpt-4o",
        provider="openai",
        prompt=prompt,
        max_output_tokens=400,
        prompt_hash=marks.prompt_hash,
        newest_mark=marks.newest_mark,
        messages=1,
        service_tier="flex",
    )
