"""OpenTelemetry log records and metric points become rows of the store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.foreign import framework_of
from ai_dev_squad_dashboard.store.marks import COMMENT, EVENT, LABEL, NAME, SCORE
from ai_dev_squad_dashboard.store.rows import LogRow, MetricRow, SpanRow

from .otlp_shapes import LogRecord, Metric, Origin, Point, Span, to_json
from .plausible import moment_us

__all__ = ["evaluations", "log_row", "metric_rows"]

_LONGEST_NAME = 256
_LONGEST_MESSAGE = 65_536
_LEVELS = {
    "TRACE": "DEBUG",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "INFORMATION": "INFO",
    "NOTICE": "INFO",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "ERR": "ERROR",
    "FATAL": "CRITICAL",
    "CRITICAL": "CRITICAL",
    "ALERT": "CRITICAL",
    "EMERGENCY": "CRITICAL",
}


def log_row(record: LogRecord, origin: Origin, now_us: int) -> LogRow:
    """The row of a log record. One without a time gets that of its arrival, and so does one from the far future."""
    given = record.attributes
    body = record.body
    event = record.event_name or given.get("event.name")
    details: dict[str, Any] = {"attributes": given} if given else {}
    if body is not None and not isinstance(body, str):
        details["body"] = body
    if origin.resource:
        details["resource"] = origin.resource_json
    if origin.scope:
        details["scope"] = origin.scope
    message = body if isinstance(body, str) else _message(body, given, event)
    return LogRow(
        moment_us(record.time_ns // 1000, now_us),
        _level(record),
        (event if isinstance(event, str) and event else "log.record")[:_LONGEST_NAME],
        message[:_LONGEST_MESSAGE],
        _text(given.get(keys.FRAMEWORK)) or framework_of(origin.scope, given),
        origin.service,
        _text(given.get(keys.SESSION_ID)) or _text(given.get(keys.CONVERSATION_ID)) or _text(given.get("session.id")),
        _text(given.get(keys.AGENT_ID)) or _text(given.get(keys.GEN_AI_AGENT_NAME)),
        record.trace_id or None,
        record.span_id or None,
        "otlp",
        to_json(details) if details else None,
    )


def evaluations(span: Span, row: SpanRow, origin: Origin, now_us: int) -> Iterator[LogRow]:
    """The marks that stand on a span as events, as the log records that they are elsewhere."""
    for event in span.events:
        if event.name == EVENT:
            of_trace = event.attributes.get(keys.EVALUATION_OF) == "trace"
            record = LogRecord(
                time_ns=event.time_ns,
                severity=0,
                severity_text="",
                event_name=EVENT,
                body=None,
                attributes=event.attributes,
                trace_id=row.trace_id,
                span_id="" if of_trace else row.span_id,
            )
            yield log_row(record, origin, now_us)._replace(session_id=row.session_id, agent=row.agent)


def _level(record: LogRecord) -> str:
    number = record.severity
    if 1 <= number <= 24:
        return ("DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")[(number - 1) // 4]
    return _LEVELS.get(record.severity_text.strip().upper(), "INFO")


def _message(body: Any, given: dict[str, Any], event: Any) -> str:
    message = given.get("exception.message")
    if isinstance(message, str) and message:
        return message
    if event == EVENT and body is None:
        said = given.get(LABEL, given.get(SCORE, given.get(COMMENT, "")))
        return f"{given.get(NAME) or 'feedback'}: {f'{said:g}' if isinstance(said, float) else said}"
    if body is not None:
        return to_json(body).decode()
    return event if isinstance(event, str) else ""


def _text(value: Any) -> str | None:
    return value[:_LONGEST_NAME] if isinstance(value, str) and value else None


def metric_rows(metric: Metric, origin: Origin, now_us: int) -> Iterator[MetricRow | None]:
    """A row for each point; ``None`` for a point that cannot be stored: it has no time, or its metric no name or kind."""
    usable = bool(metric.name and metric.kind)
    for point in metric.points:
        time_us = point.time_ns // 1000
        if not usable or moment_us(time_us, now_us) != time_us:
            yield None
            continue
        yield MetricRow(
            time_us,
            metric.name[:_LONGEST_NAME],
            metric.kind,
            metric.unit[:_LONGEST_NAME],
            origin.service,
            _finite(point.value),
            _whole(point.measurements),
            to_json(_shape(metric, point)),
        )


def _shape(metric: Metric, point: Point) -> dict[str, Any]:
    shape = {"attributes": point.attributes, **(point.shape or {})}
    if metric.temporality:
        shape |= {"temporality": metric.temporality, "start_us": max(0, point.start_ns // 1000)}
    return shape


def _whole(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < 1 << 63 else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
