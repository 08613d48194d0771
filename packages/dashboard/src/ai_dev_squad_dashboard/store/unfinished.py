"""A trace of which nothing has ended yet: what its operations that have begun say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .answers import Trace, TraceRow
from .outline import LOOP, Outline
from .rows import LogRow, OpenRow

__all__ = ["unfinished", "unfinished_outline"]


def unfinished(running: Sequence[OpenRow], lines: Callable[[int, int], tuple[LogRow, ...]]) -> Trace:
    """The trace of what is ``running``, at least one. ``lines``: its log lines, from the first to the last beginning in us."""
    first = min(running, key=lambda row: (row.parent_span_id is not None, row.start_us))
    start, end = min(row.start_us for row in running), max(row.start_us for row in running)
    row = TraceRow(
        trace_id=first.trace_id,
        root_span_id=None,
        name=first.name,
        operation=first.operation,
        framework=first.framework,
        service=None,
        session_id=first.session_id,
        status="running",
        error_type=None,
        start_us=start,
        duration_us=end - start,
        spans=0,
        errors=0,
        calls=0,
        tools=0,
        input_tokens=0,
        output_tokens=0,
        cost_usd=0.0,
        unpriced_calls=0,
    )
    return Trace(row, (), lines(start, end), tuple(running), truncated=False)


def unfinished_outline(running: Sequence[OpenRow], lines: Callable[[int, int], tuple[LogRow, ...]]) -> Outline:
    """The same, as far as its tree needs it."""
    begun = unfinished(running, lines)
    told = tuple(line for line in begun.logs if line.event_type == LOOP)
    return Outline(begun.row, (), tuple(running), truncated=False, clashes=0, lines=len(begun.logs), told=told)
