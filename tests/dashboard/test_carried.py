"""What results of tools take in the input of model calls: estimated where a call is taken in, added up where it is asked for."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from ai_dev_squad import JournalLine, Usage
from ai_dev_squad.schema import Cost
from ai_dev_squad_dashboard.ingest.carried import carried
from ai_dev_squad_dashboard.ingest.from_journal import rows
from ai_dev_squad_dashboard.ingest.otlp_shapes import Origin, Span
from ai_dev_squad_dashboard.ingest.pricing import Prices, input_share
from ai_dev_squad_dashboard.ingest.translate import span_row
from ai_dev_squad_dashboard.store.rows import Carried, SpanRow

PRICES = Prices()
AT = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def message(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """A message in the shape of the conventions."""
    return {"role": role, "parts": list(parts)}


def conversation() -> list[dict[str, Any]]:
    """100 characters: a question of 20, two calls of 10 with arguments, results of 30, 20 and 10, of which nobody asked for the last."""
    return [
        message("user", {"type": "text", "content": "q" * 20}),
        message(
            "assistant",
            {"type": "tool_call", "id": "1", "name": "grep", "arguments": {"x": "aaaaaa"}},
            {"type": "tool_call", "id": "2", "name": "read", "arguments": {"x": "bbbbbb"}},
        ),
        message("tool", {"type": "tool_call_response", "id": "1", "response": "r" * 30}),
        message("tool", {"type": "tool_call_response", "id": "2", "response": "s" * 20}),
        message("tool", {"type": "tool_call_response", "id": "9", "response": "t" * 10}),
    ]


def test_a_result_takes_its_share_of_the_tokens_and_of_what_the_input_cost():
    """Three of ten characters are three of ten tokens; half of the cost was for the input; a result of no known call is nobody's."""
    found = carried({"input": conversation()}, 1000, 0.5, lambda: 0.5)
    assert found == (Carried("grep", 300, pytest.approx(0.075)), Carried("read", 200, pytest.approx(0.05)))


def test_instructions_and_definitions_are_part_of_the_input():
    """What else was captured of the input makes the share of a result smaller."""
    content = {
        "input": conversation(),
        "system": [{"type": "text", "content": "i" * 60}],
        "tools": [{"name": "n" * 40}],
    }
    assert carried(content, 1000, None, lambda: 0.5) == (Carried("grep", 150, None), Carried("read", 100, None))


@pytest.mark.parametrize(
    "content, tokens",
    [({}, 100), ({"input": "text"}, 100), ({"input": [{"role": "user", "parts": "x"}, 7]}, 100), ({"input": conversation()}, None)],
)  # fmt: skip
def test_what_was_not_captured_or_not_counted_is_nobodys(content: dict[str, Any], tokens: int | None):
    """No messages, messages of another shape, and a call whose tokens nobody told."""
    assert carried(content, tokens, 1.0, lambda: 1.0) == ()


def test_cached_input_is_taken_at_its_own_price():
    """The share of the cost that was for the input is smaller where most of it came from a cache."""
    price = PRICES.find("openai", "gpt-4o", AT.timestamp())
    cold = Usage(input_tokens=1000, output_tokens=100, source="provider")
    warm = Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=1000, source="provider")
    # USD 2.50 and 10.00 a million, 1.25 from the cache.
    assert input_share(price, cold) == pytest.approx(2.5 / 3.5)
    assert input_share(price, warm) == pytest.approx(1.25 / 2.25)
    assert input_share(PRICES.find("nobody", "unknown", AT.timestamp()), cold) is None


def test_calls_tell_what_they_read_from_a_journal_and_over_otlp_alike():
    """The same call, written as a line or sent as a span, has read the same."""
    usage = Usage(input_tokens=1000, output_tokens=100, source="provider")
    line = JournalLine(
        timestamp=AT, level="INFO", event_type="llm.response", message="", name="gpt-4o", operation="chat", status="ok",
        trace_id="a" * 32, span_id="b" * 16, duration_ms=1, usage=usage, cost=Cost(usd=0.0035),
        metadata={"gen_ai.provider.name": "openai", "gen_ai.input.messages": conversation()},
    )  # fmt: skip
    attributes = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
        "gen_ai.input.messages": json.dumps(conversation()),
    }  # fmt: skip
    start = int(AT.timestamp()) * 1_000_000_000
    span = Span("a" * 32, "b" * 16, "", "chat gpt-4o", 3, start, start + 1, attributes, [], [], False, "")
    now_us = start // 1000
    found = [rows(line, now_us, PRICES).span, span_row(span, Origin({}, ""), now_us, PRICES)]

    expected = (Carried("grep", 300, pytest.approx(0.00075)), Carried("read", 200, pytest.approx(0.0005)))
    assert [row.carried for row in found if isinstance(row, SpanRow)] == [expected, expected]
