"""A mark as it is shown, and the log row that it is kept as: so it is searched, exported and deleted with its run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ai_dev_squad_dashboard.store.base import Selection, Store
from ai_dev_squad_dashboard.store.rows import LogRow

__all__ = ["EVENT", "Mark", "log_row", "marks_of"]

EVENT: Final = "gen_ai.evaluation.result"
"""The type of the event, whoever writes it."""
NAME: Final = "gen_ai.evaluation.name"
SCORE: Final = "gen_ai.evaluation.score.value"
LABEL: Final = "gen_ai.evaluation.score.label"
COMMENT: Final = "gen_ai.evaluation.explanation"
MOST: Final = 100
"""Marks of a run that are shown."""
_EARLIEST_US: Final = 3_600_000_000
_FOR_EVER_US: Final = 1 << 62
BY: Final = "ai_dev_squad.mark.by"


class _Details(msgspec.Struct):
    metadata: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


_decode: Final = msgspec.json.Decoder(_Details).decode


@dataclass(frozen=True)
class Mark:
    """What somebody thinks of a run, or of an operation in it."""

    time_us: int
    name: str
    """What was judged."""
    score: float | None
    label: str | None
    comment: str | None
    by: str | None
    """Who made it on the page or by API; ``None`` for a program's own."""
    span_id: str | None
    """The operation, where one is meant."""


def marks_of(store: Store, trace_id: str, start_us: int) -> tuple[Mark, ...]:
    """The newest marks of a trace that began at ``start_us``. They may come long after it ended, unlike other log lines."""
    ever = Selection(start_us - _EARLIEST_US, _FOR_EVER_US)
    page = store.logs(ever, trace_id=trace_id, event_types=(EVENT,), limit=MOST)
    return tuple(_mark(line) for line in page.rows)


def log_row(mark: Mark, trace_id: str, session_id: str | None) -> LogRow:
    """The row that keeps a mark."""
    given = {NAME: mark.name, SCORE: mark.score, LABEL: mark.label, COMMENT: mark.comment, BY: mark.by}
    said = mark.label or (f"{mark.score:g}" if mark.score is not None else mark.comment)
    return LogRow(
        time_us=mark.time_us,
        level="INFO",
        event_type=EVENT,
        message=f"{mark.name}: {said}",
        session_id=session_id,
        trace_id=trace_id,
        span_id=mark.span_id,
        source="otlp",
        details=msgspec.json.encode({"attributes": {key: value for key, value in given.items() if value is not None}}),
    )


def _mark(line: LogRow) -> Mark:
    try:
        details = _decode(line.details or b"{}")
    except msgspec.MsgspecError:
        details = _Details()
    given = {**details.attributes, **details.metadata}
    return Mark(
        time_us=line.time_us,
        name=_text(given, NAME) or "feedback",
        score=_number(given),
        label=_text(given, LABEL),
        comment=_text(given, COMMENT),
        by=_text(given, BY),
        span_id=line.span_id,
    )


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) and value else None


def _number(given: Mapping[str, Any]) -> float | None:
    value = given.get(SCORE)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
