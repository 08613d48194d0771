"""Messages of every make in the conventions' shape; what they cost to read; and what is kept of long chats."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.content import bounded
from ai_dev_squad.costs import estimate_messages
from ai_dev_squad.genai.messages import (
    countable,
    countable_text,
    input_messages,
    message,
    plain_text,
    role_name,
)

CALL = {"type": "tool_call", "id": "c", "name": "add", "arguments": {"a": 1}}


@pytest.mark.parametrize(
    "given_message, role, parts",
    [
        pytest.param("hi", "user", [{"type": "text", "content": "hi"}], id="a text"),
        pytest.param(("ai", "hi"), "assistant", [{"type": "text", "content": "hi"}], id="a pair"),
        pytest.param({"role": "developer", "content": "x"}, "system", [{"type": "text", "content": "x"}], id="openai"),
        pytest.param({"role": "user", "content": None}, "user", [], id="nothing"),
        pytest.param(
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "add", "arguments": {"a": 1}}}]},
            "assistant",
            [CALL],
            id="openai's tool call",
        ),
        pytest.param(
            {"type": "function_call", "call_id": "c", "name": "add", "arguments": {"a": 1}}, "assistant", [CALL], id="responses"
        ),
        pytest.param(
            {"type": "function_call_output", "call_id": "c", "output": "2"},
            "tool",
            [{"type": "tool_call_response", "id": "c", "response": "2"}],
            id="responses, the result",
        ),
        pytest.param(
            {"role": "assistant", "content": "so", "reasoning_content": "hm"},
            "assistant",
            [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "so"}],
            id="deepseek",
        ),
        pytest.param(
            {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "hi"}, {"functionCall": {"id": "c", "name": "add", "args": {"a": 1}}}]},
            "assistant",
            [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "hi"}, CALL],
            id="gemini",
        ),
        pytest.param(
            {"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}, {"functionResponse": {"name": "add", "response": {"sum": 2}}}]},
            "user",
            [
                {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "AA=="},
                {"type": "tool_call_response", "id": "add", "response": {"sum": 2}},
            ],
            id="gemini's data and result",
        ),
        pytest.param(
            {"role": "assistant", "content": [{"text": "hi"}, {"toolUse": {"toolUseId": "c", "name": "add", "input": {"a": 1}}}]},
            "assistant",
            [{"type": "text", "content": "hi"}, CALL],
            id="bedrock",
        ),
        pytest.param(
            {"role": "user", "content": "see", "images": ["AA=="]},
            "user",
            [{"type": "text", "content": "see"}, {"type": "blob", "modality": "image", "content": "AA=="}],
            id="ollama",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}}]},
            "user",
            [{"type": "uri", "modality": "image", "uri": "https://a.example/x.png"}],
            id="anthropic's picture",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "input_file", "file_id": "f1"}]},
            "user",
            [{"type": "file", "modality": "document", "file_id": "f1"}],
            id="a file",
        ),
        pytest.param(
            {"role": "assistant", "parts": [CALL, {"type": "odd", "x": 1}]}, "assistant", [CALL, {"type": "odd", "x": 1}], id="conventions"
        ),
        pytest.param(
            SimpleNamespace(type="AssistantMessage", content=[SimpleNamespace(id="c", name="add", arguments={"a": 1})], thought="hm"),
            "assistant",
            [{"type": "reasoning", "content": "hm"}, CALL],
            id="autogen",
        ),
    ],
)  # fmt: skip
def test_messages(given_message: Any, role: str, parts: list[dict[str, Any]]) -> None:
    """Role and parts; a message in the conventions' shape stays as it is."""
    expected = [{"role": role, "parts": parts}]
    assert input_messages([given_message]) == expected
    assert input_messages(expected) == expected


def test_what_is_no_list() -> None:
    """One message is a list of one; nothing is none."""
    assert input_messages("hi") == input_messages(["hi"])
    assert input_messages(None) == []
    assert [role_name(role) for role in ("HUMAN", "critic", 5)] == ["user", "critic", "5"]


def test_pictures_and_tools_are_counted() -> None:
    """Ten pictures and the tools that are offered cost tokens, whichever framework holds the message."""
    pictures = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000}}] * 10
    asked = [{"role": "user", "content": [{"type": "text", "text": "which one?"}, *pictures]}]
    without = [{"role": "user", "content": "which one?"}]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}

    assert countable(asked) == [("user", ["which one?", *[{"type": "image"}] * 10])]
    assert countable(without, [tool]) == [("user", "which one?"), '{"name":"look","parameters":{"type":"object"}}']
    plain = estimate_messages(countable(without), "gpt-4o").count
    assert estimate_messages(countable(asked), "gpt-4o").count == plain + 10 * 765
    assert estimate_messages(countable(asked), "gpt-4o").count == estimate_messages(asked, "gpt-4o").count
    assert estimate_messages(countable(without, [tool]), "gpt-4o").count > plain


def test_what_is_counted_of_an_answer() -> None:
    """Its texts, thoughts and tool calls in their order, as one text; a picture has none."""
    said = [{"type": "reasoning", "content": "so "}, {"type": "text", "content": "look: "}, CALL]
    picture = {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"}

    assert countable_text([{"role": "assistant", "content": said}]) == 'so look: add{"a":1}'
    assert countable_text([{"role": "assistant", "content": [*said[:2], picture]}]) == "so look: "
    assert countable_text([]) == ""


def chat(length: int, size: int = 1) -> list[dict[str, Any]]:
    """A chat of so many messages, each of so many characters."""
    return [{"role": "user", "parts": [{"type": "text", "content": str(n).rjust(size)}]} for n in range(length)]


def test_the_first_and_the_newest_are_kept() -> None:
    """The middle is cut, and a message that nobody can take for one of the chat says how much is missing."""
    whole = chat(120)
    assert bounded(whole, 100) == [
        whole[0],
        {"role": "omitted", "parts": [{"type": "omitted", "messages": 20}]},
        *whole[21:],
    ]
    assert bounded(whole, 2) == [
        whole[0],
        {"role": "omitted", "parts": [{"type": "omitted", "messages": 118}]},
        whole[-1],
    ]
    assert bounded(chat(100), 100) == chat(100)
    assert bounded([], 100) == []


def test_long_messages_are_cut_likewise() -> None:
    """The newest message stands in any case, however long the others are."""
    whole = chat(10, 10_000)
    assert bounded(whole, 100, characters=35_000) == [
        whole[0],
        {"role": "omitted", "parts": [{"type": "omitted", "messages": 7}]},
        *whole[8:],
    ]
    assert bounded(whole, 100, characters=5) == [
        whole[0],
        {"role": "omitted", "parts": [{"type": "omitted", "messages": 8}]},
        whole[9],
    ]


@given(st.integers(0, 40), st.integers(2, 40), st.integers(0, 4_000))
def test_nothing_is_lost_uncounted(length: int, most: int, characters: int) -> None:
    """What is kept and what is said to be missing are the whole chat, in its order."""
    whole = chat(length, 50)
    kept = bounded(whole, most, characters=characters)
    missing = sum(part["messages"] for item in kept for part in item["parts"] if part["type"] == "omitted")
    said = [item for item in kept if item["role"] != "omitted"]
    assert len(said) + missing == length
    assert len(said) <= max(most, 2)
    assert said == (whole[:1] + whole[length - len(said) + 1 :] if said else [])


_fields = st.fixed_dictionaries(
    {"content": st.one_of(st.none(), st.text(max_size=5), st.lists(st.text(max_size=3), max_size=2))},
    optional={
        "role": st.sampled_from(["user", "human", "developer", "tool", "Pirate", "", None]),
        "type": st.sampled_from(["ai", "human", "UserMessage", "message", "tool_use", "reasoning", "function", None]),
        "tool_calls": st.sampled_from([None, [], [{"id": "a", "name": "f", "args": {}}]]),
        "tool_call_id": st.sampled_from([None, "", "call_1"]),
        "thought": st.sampled_from([None, "", "hm"]),
        "reasoning_content": st.sampled_from([None, "", "hm"]),
        "images": st.sampled_from([None, [], ["aGk="]]),
    },
)


@given(_fields, st.booleans())
def test_the_short_way_to_a_plain_text_says_what_the_long_one_says(fields: dict[str, Any], as_object: bool) -> None:
    """Where a message is nothing but a text, its role and text are those of its only part; else the short way is shut."""
    item = SimpleNamespace(**fields) if as_object else fields
    said = plain_text(item)
    if said is not None:
        assert message(item) == {"role": said[0], "parts": [{"type": "text", "content": said[1]}]}


class _Computed:
    """A message that has a part of what it says by a property."""

    def __init__(self) -> None:
        self.role, self.content = "user", "hi"

    @property
    def tool_calls(self) -> list[Any]:
        return [CALL]


def test_the_short_way_is_open_for_mappings_and_objects_and_shut_for_what_is_computed() -> None:
    """A question goes the short way as a mapping and as an object, unless its class computes what it says."""
    assert plain_text({"role": "user", "content": "hi"}) == ("user", "hi")
    assert plain_text(SimpleNamespace(type="ai", content="hi")) == ("assistant", "hi")
    assert plain_text(_Computed()) is None
