"""The model calls that tools make themselves: those beneath a tool's span, however deep.

Spans come in any order, so this is told when it is asked for. Most tools have nothing beneath them, which one look at all spans
tells; only the traces of the others are walked.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from .base import Selection, ToolCalls, ToolEnds, ToolStep
from .duckdb_answers import one
from .duckdb_carried import read_in, whole_runs
from .duckdb_facts import Relation, Where, names_filter, runs_filter

__all__ = ["tool_calls", "tool_ends", "tool_steps"]

_SUMS = (
    "count(*), coalesce(sum(cost_usd), 0), count(*) FILTER (cost_usd IS NULL), count(*) FILTER (own), "
    "coalesce(sum(cost_usd) FILTER (own), 0), count(*) FILTER (own AND cost_usd IS NULL)"
)


def tool_calls(cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> Sequence[ToolCalls]:
    """Each tool's, the dearest first."""
    beneath, values = _beneath(cursor, selection)
    rows = cursor.execute(
        f"{beneath} SELECT beneath, {_SUMS} FROM calls GROUP BY beneath ORDER BY 3 DESC, 2 DESC, 1 LIMIT {int(limit)}",  # noqa: S608
        values,
    ).fetchall()
    return [ToolCalls(*row) for row in rows]


def tool_steps(cursor: duckdb.DuckDBPyConnection, selection: Selection, tool: str, step_us: int) -> Sequence[ToolStep]:
    """What one tool cost in each step, by its own model calls and by what was read of its results."""
    beneath, values = _beneath(cursor, selection)
    step = f"start_us // {int(step_us)} * {int(step_us)}"
    made = dict(
        cursor.execute(
            f"{beneath} SELECT {step}, coalesce(sum(cost_usd), 0) FROM calls WHERE beneath = ? GROUP BY 1",  # noqa: S608
            [*values, tool],
        ).fetchall()
    )
    where = read_in(selection)
    where.add("tool = ?", tool)
    read = dict(
        cursor.execute(
            f"SELECT {step}, coalesce(sum(cost_usd), 0) FROM carried WHERE {where} GROUP BY 1",  # noqa: S608
            where.values,
        ).fetchall()
    )
    return [ToolStep(at, made.get(at, 0.0), read.get(at, 0.0)) for at in sorted({*made, *read})]


def tool_ends(cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> Sequence[ToolEnds]:
    """How often each tool ended in which way."""
    where, runs = names_filter(selection), runs_filter(selection)
    where.add("start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    where.add(str(runs), *runs.values)
    rows = cursor.execute(
        f"SELECT tool, status, count(*) AS calls FROM spans WHERE {where} AND operation = 'execute_tool' AND tool IS NOT NULL "  # noqa: S608
        f"GROUP BY tool, status ORDER BY calls DESC, tool, status LIMIT {int(limit)}",
        where.values,
    ).fetchall()
    return [ToolEnds(*row) for row in rows]


def _beneath(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Relation:
    """``calls``: the model calls of the selection beneath a tool, once for each name of a tool above (``beneath``), and whether
    none of another name stands between (``own``).
    """
    runs = whole_runs(selection)
    reach = Where(["last_start_us >= ? AND start_us < ? AND tools > 0"], [selection.start_us, selection.end_us])
    row = one(cursor, f"SELECT min(start_us) FROM traces WHERE {reach}", reach.values)  # noqa: S608
    start_us = selection.end_us if row is None or row[0] is None else row[0]
    place = Where(["start_us >= ? AND start_us < ?", str(runs)], [start_us, selection.end_us, *runs.values])
    tool = "operation = 'execute_tool' AND tool IS NOT NULL"
    called = names_filter(selection, "s.")
    called.add("s.usage_source IS NOT NULL AND s.start_us >= ?", selection.start_us)
    text = (
        f"WITH RECURSIVE tools AS MATERIALIZED (SELECT trace_id, span_id FROM spans WHERE {place} AND {tool}), "  # noqa: S608
        "walked AS MATERIALIZED (SELECT DISTINCT s.trace_id FROM spans s JOIN tools t ON s.parent_span_id = t.span_id "
        "AND s.trace_id = t.trace_id WHERE s.start_us >= ? AND s.start_us < ?), "
        "s AS MATERIALIZED (SELECT trace_id, span_id, parent_span_id, operation, tool, start_us, usage_source, cost_usd, framework, "
        f"provider, model, agent, service FROM spans WHERE {place} AND trace_id IN (SELECT trace_id FROM walked)), "
        f"below AS (SELECT tool AS beneath, trace_id, span_id, true AS own FROM s WHERE {tool} UNION "
        "SELECT b.beneath, s.trace_id, s.span_id, b.own AND (s.tool IS NULL OR s.tool = b.beneath) "
        "FROM below b JOIN s ON s.parent_span_id = b.span_id AND s.trace_id = b.trace_id), "
        "once AS (SELECT beneath, trace_id, span_id, bool_or(own) AS own FROM below GROUP BY ALL), "
        "calls AS (SELECT o.beneath, o.own, s.start_us, s.cost_usd FROM once o JOIN s ON s.trace_id = o.trace_id "
        f"AND s.span_id = o.span_id WHERE {called})"
    )
    moments = [start_us, selection.end_us]
    return text, [*place.values, *moments, *place.values, *called.values]
