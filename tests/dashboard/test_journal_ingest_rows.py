"""What a journal line becomes: rows, whole."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai_dev_squad
from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.events.reader import decode_line, read_journal
from ai_dev_squad.schema import Cost, ErrorInfo, JournalLine, Link, Usage
from ai_dev_squad_dashboard.ingest.from_journal import JournalRows, microseconds, rows
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.store.rows import LogRow, OpenRow, SpanRow

TRACE, SPAN, PARENT = "ab" * 16, "cd" * 8, "ef" * 8
AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=timezone.utc)
AT_US = 1_795_341_600_123_456

NOW_US = 1_795_400_000_000_000


def line(**fields: Any) -> JournalLine:
    known: dict[str, Any] = {
        "timestamp": AT,
        "level": "INFO",
        "event_type": "llm.response",
        "message": "chat gpt-4o-mini: ok",
        "session_id": "s1",
        "agent_id": "planner",
        "framework": "langgraph",
        "name": "gpt-4o-mini",
        "operation": "chat",
        "status": "ok",
        "trace_id": TRACE,
        "span_id": SPAN,
        "parent_span_id": PARENT,
        "duration_ms": 12.3456,
    }
    return JournalLine(**{**known, **fields})


def details(row: SpanRow | LogRow) -> Any:
    return None if row.details is None else msgspec.json.decode(row.details)


def test_a_model_call_becomes_a_span_with_usage_cost_and_content() -> None:
    """The closing line of a model call gives a span with all that it knows, content where pages and search look for it."""
    usage = Usage(
        input_tokens=100, output_tokens=20, cache_read_input_tokens=64, reasoning_output_tokens=8, source="provider"
    )
    cost = Cost(usd=0.0000222, price="openai/gpt-4o-mini", price_date="2026-11-01", price_source="genai-prices")
    question = [{"role": "user", "parts": [{"type": "text", "content": "How far is the moon?"}]}]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "Far."}], "finish_reason": "stop"}]
    metadata = {
        keys.PROVIDER_NAME: "openai",
        keys.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18",
        keys.RESPONSE_ID: "resp_1",
        keys.RESPONSE_TIME_TO_FIRST_CHUNK: 0.0015,
        keys.INPUT_MESSAGES: question,
        keys.OUTPUT_MESSAGES: answer,
        keys.SYSTEM_INSTRUCTIONS: [{"type": "text", "content": "Be brief."}],
        keys.TOOL_DEFINITIONS: [{"type": "function", "name": "search"}],
    }
    links = [Link(trace_id="12" * 16, span_id="34" * 8, type="resume")]
    found = rows(line(usage=usage, cost=cost, metadata=metadata, links=links, correlation_id="c1"), NOW_US)
    assert found.span is not None
    assert found.span._replace(details=None, text=None) == SpanRow(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=PARENT,
        start_us=AT_US - 12_346,
        duration_us=12_346,
        name="gpt-4o-mini",
        operation="chat",
        status="ok",
        framework="langgraph",
        session_id="s1",
        agent="planner",
        provider="openai",
        model="gpt-4o-mini-2024-07-18",
        input_tokens=100,
        output_tokens=20,
        cache_read_tokens=64,
        reasoning_tokens=8,
        usage_source="provider",
        cost_usd=0.0000222,
        price="openai/gpt-4o-mini",
        price_date="2026-11-01",
        price_source="genai-prices",
        first_chunk_us=1_500,
        source="journal",
        instrumentation="ai_dev_squad",
        ingested_us=NOW_US,
        asked="How far is the moon?",
        answered="Far.",
    )
    assert details(found.span) == {
        "attributes": {
            keys.PROVIDER_NAME: "openai",
            keys.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18",
            keys.RESPONSE_ID: "resp_1",
            keys.RESPONSE_TIME_TO_FIRST_CHUNK: 0.0015,
            keys.CORRELATION_ID: "c1",
        },
        "input": question,
        "output": answer,
        "system": [{"type": "text", "content": "Be brief."}],
        "tools": [{"type": "function", "name": "search"}],
        "links": [{"trace_id": "12" * 16, "span_id": "34" * 8, "type": "resume", "attributes": {}}],
    }
    assert found.span.text is not None
    assert found.span.text.split("\n") == ["How far is the moon?", "Far.", "Be brief.", "search"]
    assert found.answer == "resp_1"
    assert found.opened is None
    assert found.log._replace(details=None) == LogRow(
        AT_US,
        "INFO",
        "llm.response",
        "chat gpt-4o-mini: ok",
        "langgraph",
        None,
        "s1",
        "planner",
        TRACE,
        SPAN,
        "journal",
    )
    # What the span keeps is not kept twice.
    assert "metadata" not in details(found.log)


def test_usage_and_cost_stand_on_model_calls_only() -> None:
    """A tool call that carries usage and cost by mistake counts nothing; arguments and result are its content."""
    arguments = {"city": "Oslo", "id": 301}
    metadata = {keys.TOOL_CALL_ARGUMENTS: arguments, keys.TOOL_CALL_RESULT: "rain", keys.TOOL_TYPE: "function"}
    given_line = line(
        event_type="tool.result",
        operation="execute_tool",
        name="weather",
        metadata=metadata,
        usage=Usage(input_tokens=5, source="provider"),
        cost=Cost(usd=1.0),
    )
    span = rows(given_line, NOW_US).span
    assert span is not None
    assert (span.tool, span.model, span.input_tokens, span.cost_usd, span.usage_source) == (
        "weather",
        None,
        None,
        None,
        None,
    )
    assert details(span) == {"attributes": {keys.TOOL_TYPE: "function"}, "input": arguments, "output": "rain"}
    assert span.text == "Oslo\n301\nrain"


def test_what_has_blanks_for_a_name_is_called_by_its_operation() -> None:
    """Nobody could see or click them; they are nobody's agent and user either."""
    blank = {"name": " ", "agent_id": "\t", "metadata": {keys.USER_ID: " "}}
    ended = rows(line(operation="invoke_agent", **blank), NOW_US).span
    begun = rows(line(event_type="agent.start", operation="invoke_agent", status=None, **blank), NOW_US).opened
    assert ended is not None
    assert begun is not None
    assert (ended.name, ended.agent, ended.user_id) == ("invoke_agent", None, None)
    assert (begun.name, begun.agent) == ("invoke_agent", None)


def test_an_opening_line_is_something_that_runs() -> None:
    """An opening line gives an open row and a log row, no span."""
    opening = line(
        event_type="agent.start", operation="invoke_agent", name="writer", agent_id=None, status=None, duration_ms=None
    )
    found = rows(opening, NOW_US)
    assert found.span is None
    assert found.opened == OpenRow(TRACE, SPAN, PARENT, AT_US, "writer", "invoke_agent", "langgraph", "s1", "writer")
    assert found.log.event_type == "agent.start"


@pytest.mark.parametrize(
    "fields",
    [
        {"event_type": "agent.interrupt", "status": None},
        {"operation": None},
        {"trace_id": None},
        {"trace_id": "xyz"},
        {"span_id": "0123"},
        {"trace_id": "AB" * 16},
    ],
)
def test_other_lines_are_log_rows_only(fields: dict[str, Any]) -> None:
    """An event within an operation, a line written by hand, or one with odd ids is only a log row."""
    found = rows(line(**fields), NOW_US)
    assert (found.span, found.opened) == (None, None)
    assert found.log.message == "chat gpt-4o-mini: ok"


def test_a_failed_operation_keeps_its_error() -> None:
    """Type and message are columns, the stack is among the details, and the log row says it too."""
    error = ErrorInfo(type="ValueError", message="no", stacktrace="File x")
    found = rows(line(status="error", level="ERROR", error=error, usage=Usage(source="missing")), NOW_US)
    assert found.span is not None
    assert (found.span.status, found.span.error_type, found.span.error_message) == ("error", "ValueError", "no")
    assert details(found.span) == {"stacktrace": "File x"}
    assert details(found.log)["error"] == {"type": "ValueError", "message": "no", "stacktrace": "File x"}


@pytest.mark.parametrize(
    "cost, error, expected",
    [
        (Cost(usd=None, reason="no price is known"), None, (None, None, "no price is known")),
        (None, None, (None, None, "the journal has no cost")),
        (None, ErrorInfo(type="ai_dev_squad.costs.budgets.BudgetExceeded"), (0.0, "refused", None)),
    ],
)
def test_an_unknown_cost_says_why(cost: Cost | None, error: ErrorInfo | None, expected: tuple[Any, ...]) -> None:
    """A cost that nobody knows is ``None`` with the reason; a call that a budget refused is known to cost nothing."""
    span = rows(line(cost=cost, error=error, status="error" if error else "ok"), NOW_US).span
    assert span is not None
    assert (span.cost_usd, span.price_source, span.cost_reason) == expected
    assert (span.usage_source, span.input_tokens) == ("missing", None)


def test_a_cache_saving_needs_the_same_price() -> None:
    """What a cache saved is told when our price is the one that was used, and stays unknown for any other."""
    prices = Prices()
    usage = Usage(input_tokens=10_000, output_tokens=0, cache_read_input_tokens=8_000, source="provider")
    paid = prices.find("openai", "gpt-4o-mini", AT.timestamp()).cost(usage).usd
    assert paid is not None
    ours = rows(line(usage=usage, cost=Cost(usd=paid), metadata={keys.PROVIDER_NAME: "openai"}), NOW_US, prices).span
    theirs = rows(
        line(usage=usage, cost=Cost(usd=paid * 2), metadata={keys.PROVIDER_NAME: "openai"}), NOW_US, prices
    ).span
    assert ours is not None
    assert theirs is not None
    assert ours.cache_saving_usd == pytest.approx(8_000 * (0.15 - 0.075) / 1e6)
    assert theirs.cache_saving_usd is None


def test_what_the_core_writes_is_understood(tmp_path: Any) -> None:
    """A run written by the core package comes back as its spans, each with its parent, and its opened operations."""
    ai_dev_squad.configure(log_dir=str(tmp_path), capture_content=True)
    workflow = operations.start(operations.WORKFLOW, "squad", framework="crewai", session_id="s9")
    task = operations.start(
        operations.TASK,
        "write",
        framework="crewai",
        parent=workflow,
        attributes={"crewai.task.description": "Write it."},
    )
    task.annotate({"crewai.task.output": "Written."})
    task.stop()
    workflow.interrupt()
    ai_dev_squad.flush()
    found = [rows(entry, NOW_US) for entry in read_journal(tmp_path)]
    spans = [row.span for row in found if row.span is not None]
    assert [(span.name, span.operation, span.status, span.parent_span_id, span.text) for span in spans] == [
        ("write", "task", "ok", workflow.span_id, "Write it.\nWritten."),
        ("squad", "invoke_workflow", "interrupted", None, None),
    ]
    assert [(row.opened.name, row.opened.session_id) for row in found if row.opened is not None] == [
        ("squad", "s9"),
        ("write", "s9"),
    ]


def test_times_are_exact() -> None:
    """Microseconds are kept to the last digit, before 1970 and after 2038 as well."""
    assert microseconds(AT) == AT_US
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)) == -1
    assert microseconds(datetime(9999, 1, 1, tzinfo=timezone.utc)) == 253_370_764_800_000_000


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
odd_lines = st.fixed_dictionaries(
    {
        "schema": st.just(1),
        "timestamp": st.sampled_from(
            ["2026-11-22T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+00:00"]
        ),
        "level": st.sampled_from(["DEBUG", "ERROR"]),
        "event_type": st.sampled_from(["llm.response", "llm.request", "tool.call", "x"]),
        "message": st.text(),
    },
    optional={
        "operation": st.sampled_from(["chat", "execute_tool", "", "💥"]),
        "status": st.sampled_from(["ok", "error"]),
        "name": st.text(),
        "trace_id": st.just(TRACE) | st.text(),
        "span_id": st.just(SPAN) | st.text(),
        "parent_span_id": st.just(SPAN) | st.text(),
        "duration_ms": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 2**62),
        "usage": st.fixed_dictionaries({"source": st.just("provider"), "input_tokens": st.integers(-5, 2**62)}),
        "metadata": st.dictionaries(
            st.sampled_from([keys.INPUT_MESSAGES, keys.PROVIDER_NAME, keys.RESPONSE_TIME_TO_FIRST_CHUNK, "other"]),
            json_values,
        ),
    },
)


@given(odd_lines)
def test_odd_lines_give_rows_that_a_store_can_hold(fields: dict[str, Any]) -> None:
    """Whatever a readable line says, its rows have numbers in range and details that are JSON."""
    text = msgspec.json.encode(fields)
    try:
        read = decode_line(text)
    except ValueError:
        return
    found: JournalRows = rows(read, NOW_US, Prices())
    for row in (found.log, found.span, found.opened):
        for value in row or ():
            assert not isinstance(value, int) or abs(value) < 2**62
    assert found.log.details is None or isinstance(details(found.log), dict)
    if found.span is not None:
        assert found.span.duration_us >= 0
        assert found.span.parent_span_id != found.span.span_id
        assert details(found.span) is None or isinstance(details(found.span), dict)
