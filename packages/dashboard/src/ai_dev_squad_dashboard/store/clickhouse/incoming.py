"""Rows become columns here. What cannot be stored is refused before anything of its batch is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import StoreError
from ai_dev_squad_dashboard.store.ids import hex_bytes
from ai_dev_squad_dashboard.store.percentiles import bin_of
from ai_dev_squad_dashboard.store.rows import Clash, LogRow, MetricRow, OpenRow, SpanRow, label_pairs
from ai_dev_squad_dashboard.store.search_words import LONGEST, document

from .schema import SPAN, TABLES, UNTIMED

__all__ = [
    "Columns",
    "Identity",
    "content_columns",
    "identity_of",
    "line_words",
    "log_columns",
    "mended",
    "metric_columns",
    "open_columns",
    "span_columns",
]

Columns = dict[str, Sequence[Any]]
Identity = tuple[bytes, bytes]
"""The ids of a span."""

_TOO_LONG: Final = re.compile(f"([^ ]{{{LONGEST}}})[^ ]+")
_MOST: Final = 1 << 63
_TEXTS: Final = {str, type(None)}
_NUMBERS: Final = {int, type(None)}
"""What the values of nearly all columns are: seen at once, where each by itself would take most of the time of a batch."""
_PLAIN_LEVELS: Final = frozenset({"DEBUG", "INFO"})


def identity_of(row: SpanRow | OpenRow | Clash) -> Identity:
    """Raises ``StoreError`` for a text that is no id."""
    return _id(row.trace_id, 32), _id(row.span_id, 16)


def span_columns(spans: Mapping[Identity, SpanRow]) -> Columns:
    """The columns of spans that their rows tell."""
    rows = list(spans.values())
    told = (
        dict(zip(SpanRow._fields, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(SpanRow._fields, ())
    )
    columns: Columns = {"trace_id": [trace for trace, _ in spans], "span_id": [span for _, span in spans]}
    columns["parent_span_id"] = [_given(each, 16) for each in told["parent_span_id"]]
    for name, kind in list(SPAN.items())[3:]:
        columns[name] = _column(name, kind, told[name])
    columns["asked"] = mended(row.asked or None for row in rows)
    columns["answered"] = mended(row.answered or None for row in rows)
    pairs = {labels: _pairs(labels) for labels in set(told["labels"])}  # spans of a trace mostly repeat them
    columns["pairs"] = [pairs[labels] for labels in told["labels"]]
    columns["resumed"] = [_other(row.resumes, trace) for (trace, _), row in spans.items()]
    # Another span may tell of the same call, so only the call itself says what it was given.
    columns["carried"] = [
        [(_mended(tool), tokens, cost) for tool, tokens, cost in row.carried] if row.usage_source is not None else []
        for row in rows
    ]
    columns["bin"] = [bin_of(row.duration_us) if row.duration_us >= 0 else UNTIMED for row in rows]
    return columns


def content_columns(spans: Mapping[Identity, SpanRow]) -> Columns:
    """What is long: details, text, and the words that a search looks for."""
    rows = list(spans.values())
    return {
        "start_us": [row.start_us for row in rows],
        "trace_id": [trace for trace, _ in spans],
        "span_id": [span for _, span in spans],
        "details": [row.details for row in rows],
        "text": mended(row.text for row in rows),
        "words": [_words(row.name, row.error_type, row.error_message, row.text) for row in rows],
    }


def log_columns(logs: Sequence[LogRow]) -> Columns:
    """The columns of log lines that their rows tell."""
    declared = TABLES["logs"].columns
    columns: Columns = {
        name: _column(name, declared[name], [getattr(row, name) for row in logs])
        for name in (
            "time_us",
            "level",
            "event_type",
            "message",
            "framework",
            "service",
            "session_id",
            "agent",
            "source",
        )
    }
    columns["trace_id"] = [_given(row.trace_id, 32) for row in logs]
    columns["span_id"] = [_given(row.span_id, 16) for row in logs]
    columns["details"] = [row.details for row in logs]
    columns["words"] = [line_words(row) for row in logs]
    return columns


def line_words(row: LogRow) -> str:
    """All words of a line, but for what a journal line of an operation without an error has in common with its span."""
    told = row.source != "journal" or row.event_type == "log" or row.level not in _PLAIN_LEVELS
    details = row.details.decode("utf-8", "replace") if told and row.details else None
    return _words(row.event_type, row.message, details)


def open_columns(opened: Mapping[Identity, OpenRow]) -> Columns:
    """The columns of operations that have begun."""
    rows = list(opened.values())
    columns: Columns = {"trace_id": [trace for trace, _ in opened], "span_id": [span for _, span in opened]}
    columns["parent_span_id"] = [_given(row.parent_span_id, 16) for row in rows]
    columns["start_us"] = _whole("start_us", [row.start_us for row in rows])
    for name in ("name", "operation", "framework", "session_id", "agent"):
        columns[name] = mended(getattr(row, name) for row in rows)
    columns["closed"] = [0] * len(rows)
    return columns


def metric_columns(metrics: Sequence[MetricRow]) -> Columns:
    """The columns of points of metrics."""
    declared = TABLES["metrics"].columns
    return {
        name: [row.details for row in metrics]
        if name == "details"
        else _column(name, declared[name], [getattr(row, name) for row in metrics])
        for name in MetricRow._fields
    }


def mended(values: Iterable[str | None]) -> Sequence[str | None]:
    """Text that UTF-8 cannot hold is mended."""
    values = values if isinstance(values, (list, tuple)) else list(values)
    if all(map(str.isascii, filter(None, values))):
        return values
    return [value if value is None or value.isascii() else _mended(value) for value in values]


def _mended(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _column(name: str, kind: str, values: Sequence[Any]) -> Sequence[Any]:
    if "String" in kind:
        if not set(map(type, values)) <= _TEXTS and not all(
            value is None or isinstance(value, str) for value in values
        ):
            wrong = next(value for value in values if value is not None and not isinstance(value, str))
            raise StoreError(f"a row's {name} {wrong!r:.40} is no text; correct it where it is read")
        return mended(values)
    return _real(values) if "Float" in kind else _whole(name, values)


def _whole(name: str, values: Sequence[Any]) -> Sequence[Any]:
    if set(map(type, values)) <= _NUMBERS:
        given = [value for value in values if value is not None]
        if not given or (min(given) >= -_MOST and max(given) < _MOST):
            return values
    for value in values:
        if value is not None and not (isinstance(value, int) and -_MOST <= value < _MOST):
            raise StoreError(
                f"a row's {name} {value!r:.40} cannot be stored (it is no whole number of 64 bits); correct it where it is read"
            )
    return values


def _real(values: Sequence[Any]) -> Sequence[Any]:
    return [value if value is None or math.isfinite(value) else None for value in values]


def _id(text: str, digits: int) -> bytes:
    value = hex_bytes(text, digits)
    if value is None:
        raise StoreError(f"id {str(text)[:40]!r} is not {digits} hexadecimal digits; correct it where it is read")
    return value


def _given(text: str | None, digits: int) -> bytes | None:
    if text is None:
        return None
    value = _id(text, digits)
    return value if any(value) else None


def _other(resumes: str | None, trace_id: bytes) -> bytes | None:
    """The trace that a span says it goes on with; nothing for its own, or for a text that is no id."""
    value = hex_bytes(resumes, 32)
    return None if value == trace_id else value


def _pairs(labels: str | None) -> list[tuple[str, str]]:
    return [(_mended(key), _mended(value)) for key, value in label_pairs(labels)] if labels is not None else []


def _words(*lines: str | None) -> str:
    """The words of some texts, between spaces, each as long as is compared."""
    words = document([line for line in lines if line])
    if _has_long(words):
        words = _TOO_LONG.sub(r"\1", words)
    return words if words.isascii() else _mended(words)


def _has_long(words: str) -> bool:
    """Whether one of the words is longer than is compared: from space to space in steps of that length, as most texts have none."""
    begin = 0
    while len(words) - begin > LONGEST:
        begin = words.rfind(" ", begin, begin + LONGEST + 1) + 1
        if not begin:
            return True
    return False
