"""Model calls as conversations, from whatever was captured."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.views.conversation import (
    MAX_MESSAGES,
    Conversation,
    Message,
    MessagePart,
    ToolDefinition,
    read_conversation,
)
from ai_dev_squad_dashboard.views.texts import SHOWN, Budget, Text, pretty


def text(value):
    """A text part that is shown whole."""
    return MessagePart("text", body=Text(value, len(value)))


def told(value):
    """JSON as it is shown."""
    return Text(value, len(value), json=True)


def test_where_the_middle_was_not_captured():
    """A long chat says so where messages are missing, as nobody's words."""
    found = read_conversation(
        {
            "input": [
                {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
                {"role": "omitted", "parts": [{"type": "omitted", "messages": 20}]},
                {"role": "user", "parts": [{"type": "text", "content": "and now?"}]},
            ]
        }
    )
    assert [(message.role, message.parts) for message in found.messages] == [
        ("system", (MessagePart("text", body=Text("be brief", 8)),)),
        ("omitted", (MessagePart("other", "20 messages are left out here"),)),
        ("user", (MessagePart("text", body=Text("and now?", 8)),)),
    ]


def test_genai_messages_are_read_with_all_their_parts():
    """System, history, reasoning, a tool call, its result and the answer, in the order in which they were said."""
    details = {
        "system": [{"type": "text", "content": "Be brief."}],
        "input": [
            {"role": "user", "parts": [{"type": "text", "content": "Which year?"}]},
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "I need the file."},
                    {"type": "tool_call", "id": "c1", "name": "read", "arguments": {"path": "a"}},
                ],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "1969"}]},
        ],
        "output": [
            {"role": "assistant", "parts": [{"type": "text", "content": "1969."}], "finish_reason": "stop"},
        ],
        "tools": [{"type": "function", "name": "read", "description": "Reads", "parameters": {}}],
    }
    assert read_conversation(details) == Conversation(
        messages=(
            Message("system", None, (text("Be brief."),)),
            Message("user", None, (text("Which year?"),)),
            Message(
                "assistant",
                None,
                (
                    MessagePart("reasoning", body=Text("I need the file.", 16)),
                    MessagePart("tool_call", "read", told('{\n  "path": "a"\n}'), "c1"),
                ),
            ),
            Message("tool", None, (MessagePart("tool_result", "", Text("1969", 4), "c1"),)),
            Message("assistant", None, (text("1969."),), answer=True, finish_reason="stop"),
        ),
        tools=(ToolDefinition("read", Text("Reads", 5), told("{}")),),
    )


def test_openai_messages_are_read():
    """Content as text or parts, calls one level deeper with arguments as JSON text, results by call id, choices as wrapping."""
    details = {
        "input": {
            "messages": [
                {"role": "developer", "content": "Rules."},
                {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
                {"role": "tool", "tool_call_id": "c", "content": "[1, 2]"},
            ]
        },
        "output": {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Done"}}]},
    }  # fmt: skip
    assert read_conversation(details).messages == (
        Message("system", None, (text("Rules."),)),
        Message("user", None, (text("Look"), MessagePart("media", "image · https://x.test/a.png"))),
        Message("assistant", None, (MessagePart("tool_call", "f", told('{\n  "a": 1\n}'), "c"),)),
        Message("tool", None, (MessagePart("tool_result", "", told("[\n  1,\n  2\n]"), "c"),)),
        Message("assistant", None, (text("Done"),), answer=True, finish_reason="stop"),
    )


def test_what_a_tool_returned_in_parts_is_shown_as_text_and_media():
    """The texts of the parts, and a picture in its place, whether a message or a part holds them; anything else is JSON."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400}}
    texts = [{"type": "text", "text": "18 degrees"}, {"type": "text", "text": "and rain"}]
    details = {
        "input": [
            {"role": "tool", "tool_call_id": "c", "content": texts},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [texts[0], picture]}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "u", "content": [picture]}]},
            {"role": "tool", "tool_call_id": "v", "content": [{"type": "row", "text": 1}]},
        ]
    }
    shown = MessagePart("media", "image · image/png · 300 bytes")
    assert read_conversation(details).messages == (
        Message("tool", None, (MessagePart("tool_result", "", text("18 degrees\nand rain").body, "c"),)),
        Message("user", None, (MessagePart("tool_result", "", text("18 degrees").body, "t"), shown)),
        Message("user", None, (MessagePart("tool_result", "", None, "u"), shown)),
        Message(
            "tool",
            None,
            (MessagePart("tool_result", "", told('[\n  {\n    "type": "row",\n    "text": 1\n  }\n]'), "v"),),
        ),
    )


@pytest.mark.parametrize(
    "part",
    [
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABo"},
    ],
    ids=["Anthropic", "OpenAI"],
)
def test_reasoning_that_only_its_provider_can_read_is_no_text(part):
    """It is told that there was some; what summarises it is shown."""
    (message,) = read_conversation({"output": [{"role": "assistant", "content": [part]}]}).messages
    assert message.parts == (MessagePart("other", "reasoning, encrypted by the provider"),)
    (message,) = read_conversation({"output": [{"role": "assistant", "content": [{**part, "summary": "Hm"}]}]}).messages
    assert message.parts == (MessagePart("reasoning", body=Text("Hm", 2)),)


def test_anthropic_and_langchain_messages_are_read():
    """Thinking, tool use and results as content blocks; ``human`` and ``ai`` as types instead of roles."""
    details = {
        "input": [
            [
                {"type": "human", "content": "Hi"},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
            ]
        ],
        "output": [
            {"type": "ai", "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "tool_use", "id": "u", "name": "go", "input": {}}]},
        ],
    }  # fmt: skip
    assert read_conversation(details).messages == (
        Message("user", None, (text("Hi"),)),
        Message("user", None, (MessagePart("tool_result", "", Text("ok", 2), "t"),)),
        Message(
            "assistant",
            None,
            (MessagePart("reasoning", body=Text("Hm", 2)), MessagePart("tool_call", "go", told("{}"), "u")),
            answer=True,
        ),
    )


def test_media_are_described_and_never_loaded():
    """Kind, type and size or address are told; content that is no picture is not."""
    parts = [
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A" * 400},
        {"type": "uri", "modality": "document", "uri": "https://x.test/r.pdf"},
        {"type": "file", "modality": "audio", "file_id": "f1", "transcript": "Hello"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    (message,) = read_conversation({"input": [{"role": "user", "parts": parts}]}).messages
    assert message.parts == (
        MessagePart("media", "image · image/png · 300 bytes"),
        MessagePart("media", "document · https://x.test/r.pdf"),
        MessagePart("media", "audio · f1", Text("Hello", 5)),
        MessagePart("media", "image · data:image/png · 19 bytes"),
    )


@pytest.mark.parametrize(
    "part",
    [
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgoAAAA="},
        {"type": "blob", "modality": "image", "content": "iVBORw0KGgoAAAA="},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAA="}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "iVBORw0KGgoAAAA="}},
    ],
    ids=["GenAI", "no type", "OpenAI", "Anthropic, of another type than it says"],
)
def test_a_small_picture_that_was_captured_can_be_drawn(part):
    """Whichever way it is written, it is known by how it begins."""
    (message,) = read_conversation({"input": [{"role": "user", "parts": [part]}]}).messages
    assert [each.picture for each in message.parts] == ["data:image/png;base64,iVBORw0KGgoAAAA="]


@pytest.mark.parametrize(
    "content",
    [
        "iVBORw0KGgo… 90,000 more characters",
        "iVBORw0KGgo" + "A" * 40_000,
        "PHN2ZyBvbmxvYWQ9",
        "",
        None,
        7,
        ["iVBORw0KGgo"],
    ],
    ids=["cut", "large", "svg", "empty", "missing", "a number", "a list"],
)
def test_what_is_cut_or_large_or_no_picture_is_described_only(content):
    """Half a picture, one of megabytes and a drawing that may carry scripts stay what they are called."""
    part = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": content}
    (message,) = read_conversation({"input": [{"role": "user", "parts": [part]}]}).messages
    assert [(each.kind, each.picture) for each in message.parts] == [("media", None)]


def test_pictures_share_the_room_of_a_page():
    """A hundred pictures are no page of four megabytes: what was said last has its picture."""
    part = {"type": "blob", "modality": "image", "content": "iVBORw0KGgo" + "A" * 39_000}
    messages = read_conversation({"input": [{"role": "user", "parts": [part]}] * 100}).messages
    drawn = [bool(message.parts[0].picture) for message in messages]
    assert drawn == [False] * 90 + [True] * 10


def test_plain_text_is_a_message():
    """A prompt and an answer as text are one message each; nothing captured is no conversation."""
    assert read_conversation({"input": "Why?", "output": "Because."}).messages == (
        Message("user", None, (text("Why?"),)),
        Message("assistant", None, (text("Because."),), answer=True),
    )
    assert not read_conversation({})
    assert not read_conversation({"input": [], "output": None, "system": ""})


def test_a_very_long_text_is_cut_and_says_by_how_much():
    """Ten megabytes become a beginning, and the answer is shown whole before the prompt uses the room up."""
    long = "x" * 10_000_000
    prompts = [{"role": "user", "content": long} for _ in range(40)]
    conversation = read_conversation({"input": prompts, "output": "short"})
    bodies = [message.parts[0].body for message in conversation.messages]
    assert bodies[-1] == Text("short", 5)
    assert bodies[-2] == Text("x" * SHOWN, 10_000_000)
    assert bodies[-2].left_out == 9_980_000
    assert bodies[0] == Text("x" * 500, 10_000_000)
    assert sum(len(body.text) for body in bodies) < 450_000


def test_the_first_and_the_last_messages_of_a_very_long_history_are_shown():
    """How many are left out between them is told."""
    history = [{"role": "user", "content": str(number)} for number in range(1000)]
    conversation = read_conversation({"input": history})
    shown = [message.parts[0].body.text for message in conversation.messages]
    assert (len(shown), shown[0], shown[-1], conversation.left_out) == (MAX_MESSAGES, "0", "999", 800)


def test_json_is_indented_whether_it_comes_as_text_or_not():
    """What only looks like JSON stays as it is, and half a character does not break the page."""
    assert pretty('{"a":[1]}') == told('{\n  "a": [\n    1\n  ]\n}')
    assert pretty({"ü": None}) == told('{\n  "ü": null\n}')
    assert pretty("{no json") == Text("{no json", 8)
    assert pretty(7) == Text("7", 1)
    assert Budget().clip("a\ud800b") == Text("a?b", 3)
    assert pretty("[" * 100_000).length == 100_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "parts", "content", "type", "text", "name", "id", "tool_calls", "function", "message", "messages", "choices", "arguments", "image_url", "source", "uri", "response"])
            | st.text(max_size=5),
            inner | st.sampled_from(["user", "tool", "text", "blob", "uri", "tool_call", "tool_result", "reasoning", "image_url", "tool_call_response"]),
            max_size=6,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["input", "output", "system", "tools"]), json_values))
def test_whatever_was_captured_can_be_shown(details):
    """No content makes the page fail, and the result is always something that JSON can carry."""
    conversation = read_conversation(details)
    msgspec.json.encode(conversation)
    for message in conversation.messages:
        assert message.parts
        assert all(part.body is None or part.body.left_out >= 0 for part in message.parts)


@given(st.text(min_size=1))
def test_no_word_of_a_short_message_is_lost(content):
    """Text that fits is shown exactly."""
    (message,) = read_conversation({"input": [{"role": "user", "content": content}]}).messages
    assert message.parts[0].body.text == content
