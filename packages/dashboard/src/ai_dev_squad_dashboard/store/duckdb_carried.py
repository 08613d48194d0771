"""What results of tools took in the input of later model calls: kept a call and tool, added up when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import duckdb

from .base import Selection, ToolInput
from .duckdb_columns import REAL, TEXT, WHOLE, id_columns, registered
from .duckdb_excerpts import TRACE_ID
from .duckdb_facts import Where, names_filter, runs_filter
from .rows import SpanRow

__all__ = ["read_in", "tool_inputs", "whole_runs", "write_carried"]


def write_carried(connection: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow], series: Sequence[int]) -> None:
    """Keep what the model calls among the spans were given of tools. ``series`` are the spans' numbers."""
    found = [
        (span.trace_id, span.start_us, number, *each)
        for span, number in zip(spans, series, strict=True)
        if span.carried and span.usage_source is not None  # another span may tell of the same call
        for each in span.carried
    ]
    if not found:
        return
    traces, starts, numbers, tools, tokens, costs = zip(*found, strict=True)
    columns = id_columns(traces, {})
    columns |= {"start_us": (WHOLE, starts), "series": (WHOLE, numbers), "tool": (TEXT, tools)}
    columns |= {"tokens": (WHOLE, tokens), "cost_usd": (REAL, costs)}
    with registered(connection, "incoming", columns):
        connection.execute(
            f"INSERT INTO carried SELECT {TRACE_ID}, start_us, series, tool, tokens, cost_usd FROM incoming"  # noqa: S608
        )


def read_in(selection: Selection) -> Where:
    """On what was carried: that of model calls of the selection."""
    where = whole_runs(selection)
    where.add("start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    named = names_filter(selection)
    if named.conditions:
        where.add(f"series IN (SELECT id FROM series WHERE {named})", *named.values)  # noqa: S608
    return where


def whole_runs(selection: Selection) -> Where:
    """The filters by runs on a table with the ids of traces: all of a trace counts, also what names no session itself."""
    where = runs_filter(replace(selection, sessions=()))
    if selection.sessions:
        where.add(
            "trace_id IN (SELECT trace_id FROM traces WHERE session_id IN (SELECT unnest(?)))", list(selection.sessions)
        )
    return where


def tool_inputs(cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> Sequence[ToolInput]:
    """Each tool's, the dearest first."""
    where = read_in(selection)
    rows = cursor.execute(
        "SELECT tool, count(*), least(sum(tokens), 9223372036854775807)::BIGINT AS tokens, coalesce(sum(cost_usd), 0) AS usd, "  # noqa: S608
        f"count(*) FILTER (cost_usd IS NULL) FROM carried WHERE {where} GROUP BY tool "
        f"ORDER BY usd DESC, tokens DESC, tool LIMIT {int(limit)}",
        where.values,
    ).fetchall()
    return [ToolInput(*row) for row in rows]
