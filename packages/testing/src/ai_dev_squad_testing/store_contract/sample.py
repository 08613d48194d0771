"""Known rows: two runs of a morning, and what somebody thinks of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from ai_dev_squad_dashboard.engine import Batch, LogRow, MetricRow, Selection, SpanRow, TraceRow

__all__ = [
    "ALL",
    "CREW_ROW",
    "DAY",
    "HOUR",
    "LLAMA_ROW",
    "MINUTE",
    "OTHER_RUN",
    "RUN",
    "SECOND",
    "T0",
    "WORDS",
    "mark",
    "morning",
    "near",
    "span",
]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z, a whole hour
ALL = Selection(0, T0 + 1000 * DAY)

RUN = "0af7651916cd43dd8448eb211c80319c"
OTHER_RUN = "ffffffffffffffffffffffffffffffff"

WORDS = (
    ("STRASSE", "in der Straße", True),
    ("café", "le cafe noir", True),
    ("注意", "必须注意安全", True),
    ("意", "必须注意安全", True),
    ("危", "必须注意安全", False),
    ("слово", "предисловие", False),
    ("слов", "предисловие", True),
    ("serve", "the observer", True),
    ("the", "other", True),
    ("he", "the observer", False),
    ("llama", "llama3", True),
    ("llama", "llama3000", False),
    ("dead", "id deadbeef4217 here", False),
    ("deadbeef42", "id deadbeef4217 here", True),
    ("beef4217", "id deadbeef4217 here", False),
    ("squad1", "squad12", True),
    ("squad1", "squad1x", True),
    ("gpt4", "asked gpt4", True),
    ("gpt4", "asked gpt4o", False),
    ("b2c", "a b2c shop", True),
    ("b2c", "a b2c4 shop", False),
    ("4711", "ORDER-4711", True),
    ("4711", "order4711x", False),
    ("12", "12 of 100", True),
)
"""A query, a text, and whether the text has its words."""


def span(
    trace: str, number: int, parent: int | None, start_us: int, duration_us: int, name: str, **more: Any
) -> SpanRow:
    """A span with a short number for an id."""
    more.setdefault("operation", "other")
    above = None if parent is None else f"{parent:016x}"
    return SpanRow(trace, f"{number:016x}", above, start_us, duration_us, name, **more)


def morning() -> Batch:
    """Two runs: a crew that asked a model twice and used a tool in vain, and a bare call of another program."""
    crew = {"framework": "crewai", "service": "squad", "session_id": "monday", "user_id": "ada"}
    call = {
        **crew,
        "operation": "chat",
        "agent": "planner",
        "provider": "openai",
        "model": "gpt-4o",
        "usage_source": "provider",
    }
    return Batch(
        spans=[
            span(
                RUN, 1, None, T0, 9 * SECOND, "plan the week", operation="invoke_workflow", **crew,
                labels='{"tenant":"acme","tag":["beta","eu"]}',
            ),
            span(RUN, 2, 1, T0 + SECOND, 8 * SECOND, "planner", operation="invoke_agent", agent="planner", **crew),
            span(
                RUN, 3, 2, T0 + 2 * SECOND, 2 * SECOND, "gpt-4o", **call, input_tokens=100, output_tokens=20,
                cache_read_tokens=64, cache_write_tokens=4, reasoning_tokens=8, cost_usd=0.25, price="openai/gpt-4o",
                price_date="2026-10-01", price_source="genai-prices", cache_saving_usd=0.05, first_chunk_us=300_000,
                source="journal", instrumentation="ai_dev_squad", ingested_us=T0 + 10 * SECOND,
                details=b'{"attributes":{"ai_dev_squad.attempt":2},"metadata":{"prompt_hash":"abc"}}',
                text="Plan the week of 100% of the TEAM", asked="Plan the week", answered="Which days?",
            ),
            span(
                RUN, 4, 2, T0 + 5 * SECOND, SECOND, "calendar", operation="execute_tool", agent="planner", tool="calendar",
                status="error", error_type="TimeoutError", error_message="the calendar did not answer", **crew,
            ),
            span(
                RUN, 5, 2, T0 + 6 * SECOND, SECOND, "gpt-4o", **{**call, "usage_source": "estimated"}, input_tokens=50,
                cost_reason="no price for gpt-4o", text="week_end", asked="Any day", answered="Done.",
            ),
            span(
                OTHER_RUN, 1, None, T0 + 30 * MINUTE, 4 * SECOND, "llama", operation="chat", model="llama",
                usage_source="missing", status="error", error_type="500", cost_reason="local",
            ),
        ],
        logs=[
            LogRow(T0 + SECOND, "INFO", "agent.start", "planner begins", "crewai", "squad", "monday", "planner", RUN, f"{2:016x}"),
            LogRow(T0 + 6 * SECOND, "ERROR", "tool.result", "calendar failed", "crewai", None, "monday", "planner", RUN, f"{4:016x}", "journal", b'{"retry":1}'),
            LogRow(T0 + 30 * MINUTE, "INFO", "log", "Hello World", source="otlp"),
        ],
        metrics=[
            MetricRow(T0, "gen_ai.client.token.usage", "histogram", "{token}", "squad", 120.0, 2, b"{}"),
            MetricRow(T0 + MINUTE, "gen_ai.client.token.usage", "histogram", "{token}", "squad", 150.0, 3, b"{}"),
            MetricRow(T0, "queue", "gauge", "1", None, None, None, b"{}"),
        ],
        positions={"journal:/a": "17", "journal:/b": "4"},
    )  # fmt: skip


def mark(
    trace: str,
    place: str,
    *,
    name: str = "helpful",
    score: float | None = None,
    label: str | None = None,
    note: str | None = None,
    later: int = 0,
) -> LogRow:
    """What somebody thinks of a run a day later, as a line (``metadata``) or a record (``attributes``) tells it."""
    said = {"name": name, "score.value": score, "score.label": label, "explanation": note}
    details = {place: {f"gen_ai.evaluation.{key}": value for key, value in said.items() if value is not None}}
    message = json.dumps(details).encode()
    return LogRow(T0 + DAY + later, "INFO", "gen_ai.evaluation.result", "", trace_id=trace, details=message)


CREW_ROW = TraceRow(
    RUN, f"{1:016x}", "plan the week", "invoke_workflow", "crewai", "squad", "monday", "ok", None, T0, 9 * SECOND,
    spans=5, errors=1, calls=2, tools=1, input_tokens=150, output_tokens=20, cost_usd=0.25, unpriced_calls=1,
    user_id="ada", models=("gpt-4o",), asked="Plan the week", answered="Done.", failures=1,
)  # fmt: skip
LLAMA_ROW = TraceRow(
    OTHER_RUN, f"{1:016x}", "llama", "chat", None, None, None, "error", "500", T0 + 30 * MINUTE, 4 * SECOND,
    spans=1, errors=1, calls=1, tools=0, input_tokens=0, output_tokens=0, cost_usd=0.0, unpriced_calls=1,
    models=("llama",), failures=1,
)  # fmt: skip


def near(measured: Any, exact: Any) -> None:
    """The same, but for percentiles (5 % or a microsecond off) and the last digits of money."""
    for name, value in asdict(exact).items():
        found = getattr(measured, name)
        if name.endswith(("p50_us", "p95_us", "p99_us")) and value is not None:
            assert found == pytest.approx(value, rel=0.05, abs=1), name
        elif name.endswith("_usd"):
            assert found == pytest.approx(value, abs=1e-9), name
        elif name != "latency":
            assert found == value, name
