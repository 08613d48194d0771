"""Messages that came before: read once, and the same as if they were read again."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_dev_squad_dashboard.ingest import messages
from ai_dev_squad_dashboard.ingest.carried import carried
from ai_dev_squad_dashboard.ingest.content import parsed, searched_text

NAMES = st.sampled_from(
    ["role", "type", "id", "name", "content", "parts", "arguments", "response", "result", "blob", "x"]
)
TEXTS = st.sampled_from(
    ["tool_call", "tool_call_response", "blob", "user", "c1", "", "weather", "a\nb", "\ud83d", '"[{']
)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PARTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3)
MESSAGES = st.lists(st.fixed_dictionaries({"role": TEXTS, "parts": PARTS}) | st.dictionaries(NAMES, VALUES) | VALUES)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(told=MESSAGES)
def test_a_message_that_came_before_says_what_it_said_first(monkeypatch, told):
    """What is read, searched and counted of messages is the same, whether they came before or are told apart at all."""
    text = json.dumps(told)
    monkeypatch.setattr(messages, "LONG", len(text) + 1)
    _, plain = parsed(text)
    monkeypatch.setattr(messages, "LONG", 0)

    def said(content):
        given = {"input": content, "system": content}
        return content, searched_text([content]), searched_text([], content), carried(given, 1000, 1.0, lambda: 0.5)

    assert [said(parsed(text)[1]) for _ in range(2)] == [said(plain)] * 2


def test_the_same_message_is_read_once_as_long_as_few_others_come(monkeypatch):
    """Memory is bounded: what has not come for long is read again."""
    monkeypatch.setattr(messages, "_KEPT_BYTES", 1_000)
    told = [json.dumps([{"role": "user", "content": f"{number:0100d}"}]).encode() for number in range(30)]
    first = messages.read(told[0])
    for raw in told[1:5]:
        messages.read(raw)
    assert messages.read(told[0])[0] is first[0]
    for raw in told[1:]:
        messages.read(raw)
    again = messages.read(told[0])
    assert again == first
    assert again[0] is not first[0]


@pytest.mark.parametrize("depth, is_text", [(190, False), (250, True), (100_000, True)])
def test_messages_that_are_nested_too_deeply_are_text(depth, is_text):
    """As any other content is: nobody walks them."""
    text = '[{"role":"user","content":' + "[" * depth + "]" * depth + "}]" + " " * messages.LONG
    raw, readable = parsed(text)
    assert (raw is text, readable is text) == (is_text, is_text)
