"""A mark as it is shown, and the log row that it is kept as: so it is searched, exported and deleted with its run."""

from __future__ import annotations

from typing import Final

import msgspec

from ai_dev_squad_dashboard.store.base import Selection, Store
from ai_dev_squad_dashboard.store.marks import BY, COMMENT, EVENT, LABEL, NAME, SCORE, Mark, mark_of
from ai_dev_squad_dashboard.store.rows import LogRow

__all__ = ["Mark", "log_row", "marks_of"]

MOST: Final = 100
"""Marks of a run that are shown."""
_EARLIEST_US: Final = 3_600_000_000
_FOR_EVER_US: Final = 1 << 62


def marks_of(store: Store, trace_id: str, start_us: int) -> tuple[Mark, ...]:
    """The newest marks of a trace that began at ``start_us``. They may come long after it ended, unlike other log lines."""
    ever = Selection(start_us - _EARLIEST_US, _FOR_EVER_US)
    page = store.logs(ever, trace_id=trace_id, event_types=(EVENT,), limit=MOST)
    return tuple(mark_of(line) for line in page.rows)


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
