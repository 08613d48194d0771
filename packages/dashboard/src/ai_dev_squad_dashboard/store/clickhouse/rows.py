"""Rows as they come from the server, as the shapes of answers."""

from __future__ import annotations

from typing import Any, Final

from ai_dev_squad_dashboard.store.base import TraceRow
from ai_dev_squad_dashboard.store.orders import DURATION, SKEWED
from ai_dev_squad_dashboard.store.rows import LogRow, OpenRow, SpanRow

from .schema import SPAN

__all__ = [
    "LOG_COLUMNS",
    "OPEN_COLUMNS",
    "SPAN_COLUMNS",
    "TRACE_COLUMNS",
    "log_row",
    "open_row",
    "span_row",
    "trace_row",
]

TRACE_COLUMNS: Final = (
    "trace_id, root_span_id, name, operation, framework, service, session_id, status, error_type, start_us, "
    f"{DURATION} AS shown_us, spans, errors, calls, tools, input_tokens, output_tokens, cost_usd, unpriced, "
    f"user_id, task, version, resumes, {SKEWED} AS is_skewed, models, asked, answered, failures"
)
SPAN_COLUMNS: Final = ", ".join(SPAN)
LOG_COLUMNS: Final = (
    "time_us, level, event_type, message, framework, service, session_id, agent, trace_id, span_id, source, details"
)
OPEN_COLUMNS: Final = "trace_id, span_id, parent_span_id, start_us, name, operation, framework, session_id, agent"
_DETAILS: Final = SpanRow._fields.index("details")
_IDS_OF_LOG: Final = frozenset({"trace_id", "span_id"})


def trace_row(row: tuple[Any, ...]) -> TraceRow:
    """What ``TRACE_COLUMNS`` say."""
    trace_id, root, *rest, resumes, skewed, models, asked, answered, failures = row
    told = (
        trace_id.hex(),
        _hexed(root),
        *rest,
        _hexed(resumes),
        bool(skewed),
        tuple(models),
        asked,
        answered,
        failures,
    )
    return TraceRow(*told)


def span_row(row: tuple[Any, ...], details: bytes | None = None, text: str | None = None) -> SpanRow:
    """What ``SPAN_COLUMNS`` say, with what stands apart."""
    trace_id, span_id, parent, *rest = row
    told = (trace_id.hex(), span_id.hex(), _hexed(parent), *rest)
    return SpanRow(*(*told[:_DETAILS], details, text, *told[_DETAILS:]))


def log_row(row: tuple[Any, ...]) -> LogRow:
    """What ``LOG_COLUMNS`` say, asked for as bytes."""
    fields = dict(zip(LogRow._fields, row, strict=True))
    for name, value in fields.items():
        if name in _IDS_OF_LOG:
            fields[name] = _hexed(value)
        elif isinstance(value, bytes) and name != "details":
            fields[name] = value.decode()
    return LogRow(**fields)


def open_row(row: tuple[Any, ...]) -> OpenRow:
    """What ``OPEN_COLUMNS`` say."""
    trace_id, span_id, parent, *rest = row
    return OpenRow(trace_id.hex(), span_id.hex(), _hexed(parent), *rest)


def _hexed(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
