"""Lists of traces, and what is stored of each as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from . import search_newest, search_traces
from .base import Selection, TraceFilters, TraceOrder, TracePage, TraceRow
from .cursors import unpack
from .duckdb_answers import number as number_of
from .duckdb_answers import one
from .duckdb_columns import hexed
from .duckdb_excerpts import described
from .duckdb_facts import Where, names_filter, runs_filter, windows
from .duckdb_order import after as cursor_after
from .duckdb_together import unasked
from .orders import AT_LEAST, TRACE_ORDERS, cursor_behind, is_skewed, total_in, value_of
from .search_index import IndexReader
from .search_words import terms_of

__all__ = ["TRACE_COLUMNS", "Stored", "captured", "stored", "trace_row", "traces"]

TRACE_COLUMNS: Final = (
    "trace_id, root_span_id, name, operation, framework, service, session_id, status, error_type, start_us, "
    "last_start_us, end_us, root_start_us, root_duration_us, spans, errors, calls, tools, input_tokens, output_tokens, "
    "cost_usd, unpriced, user_id, task, version, resumes"
)
_NUMBER, _LAST, _END, _ROOT_DURATION = (
    TRACE_COLUMNS.split(", ").index(name) for name in ("trace_id", "last_start_us", "end_us", "root_duration_us")
)


def traces(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    filters: TraceFilters,
    *,
    text: str,
    order: TraceOrder,
    after: str | None,
    limit: int,
    counted: bool,
    index: IndexReader | None,
) -> TracePage:
    """The newest traces. Filters by names, operation and tool hold for one and the same span; words for the whole trace."""
    terms = terms_of(text)
    if not terms and text.strip():
        return TracePage((), None)  # nothing in it is a word
    where = runs_filter(selection)
    filtered = _filtered(filters)
    where.add(str(filtered), *filtered.values)
    inside = _inside(selection, filters.get("operation"), filters.get("tool"))
    told = None if after is None else total_in(after, "traces", order)
    total = None if terms else _total(cursor, where, inside, selection) if told is None and counted else told
    start_us, end_us = selection.start_us, selection.end_us
    if after is not None:
        behind = cursor_after(after, "traces", order, TRACE_ORDERS[order], "trace_id < ?::UHUGEINT")
        _checked(after, behind.values[-1])
        where.add(str(behind), *behind.values)
        if order == "newest":
            end_us = min(end_us, int(behind.values[0]) + 1)
    complete = True
    if terms and order == "newest":
        asked = search_newest.Asked(search_traces.SHELF, TRACE_COLUMNS, where, inside, start_us, end_us, limit + 1)
        rows, complete = search_traces.newest(cursor, index, terms, asked)
    elif order == "newest":
        rows = _newest(cursor, where, inside, start_us, end_us, limit + 1)
    else:
        with ExitStack() as found:
            if terms:
                traces, complete = search_traces.matching(cursor, index, terms, start_us, end_us)
                found.enter_context(search_newest.chosen(cursor, traces))
                where.add(search_traces.SHELF.found)
            rows = _window(cursor, where, inside, start_us, end_us, limit + 1, order)
    page = described(cursor, [trace_row(row) for row in rows[:limit]])
    more = None
    if len(rows) > limit:
        more = cursor_behind("traces", order, value_of(page[-1], order), str(int(page[-1].trace_id, 16)), total)
    return TracePage(page, more, total, complete)


def _filtered(filters: TraceFilters) -> Where:
    """The filters that hold for whole traces."""
    given = {name: value for name, value in filters.items() if value is not None}
    where = Where([], [])
    status = given.get("status")
    if status == "failed_step":
        where.add("status <> 'error' AND errors > 0")
    elif status is not None:
        where.add("status = ?", status)
    if "name" in given:
        where.add("name = ?", given["name"])
    for name, expression in AT_LEAST.items():
        if name in given:
            where.add(f"{expression} >= ?", given[name])
    if "error_group" in given:
        where.add("trace_id IN (SELECT trace_id FROM failures WHERE error_group = ?)", given["error_group"])
    marked = _marked(given)
    if marked.conditions:
        where.add(f"trace_id IN (SELECT trace_id FROM marks WHERE {marked})", *marked.values)  # noqa: S608
    return where


def _marked(given: Mapping[str, Any]) -> Where:
    """On the marks: those that are asked for."""
    where = Where([], [])
    if "mark" in given:
        where.add("true") if given["mark"] == "any" else where.add("label = ?", given["mark"])
    for name, sign in (("min_score", ">="), ("max_score", "<=")):
        if name in given:
            where.add(f"score {sign} ?", given[name])
    if given.get("noted"):
        where.add("comment IS NOT NULL")
    return where


@dataclass(frozen=True)
class Stored:
    """A trace that is stored, and when its last span began and ended."""

    row: TraceRow
    last_start_us: int
    end_us: int


def stored(cursor: duckdb.DuckDBPyConnection, numbers: Sequence[int], found: dict[Any, Any]) -> dict[int, Stored]:
    """The traces with these numbers, each asked for once for all questions that have ``found`` in common.

    Named one by one, so that the index finds them: all else reads what is wide of every trace.
    """
    if unknown := unasked("trace", numbers, found):
        ids = ", ".join("?::UHUGEINT" for _ in unknown)
        rows = cursor.execute(f"SELECT {TRACE_COLUMNS} FROM traces WHERE trace_id IN ({ids})", unknown).fetchall()  # noqa: S608
        found.update({("trace", number): None for number in unknown})
        for row, told in zip(rows, described(cursor, list(map(trace_row, rows))), strict=True):
            found["trace", row[_NUMBER]] = Stored(told, row[_LAST], row[_END])
    return {number: found["trace", number] for number in numbers if found["trace", number] is not None}


def _total(cursor: duckdb.DuckDBPyConnection, where: Where, inside: Where, selection: Selection) -> int:
    """How many traces match."""
    condition, values = _conditions(cursor, where, inside, selection.start_us, selection.end_us)
    return number_of(cursor, f"SELECT count(*) FROM traces WHERE {condition}", values)  # noqa: S608


def captured(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> tuple[int, int]:
    """Model calls with captured content, and all of them."""
    where = names_filter(selection)
    where.add("start_us >= ? AND start_us < ? AND usage_source IS NOT NULL", selection.start_us, selection.end_us)
    row = one(cursor, f"SELECT count(text), count(*) FROM spans WHERE {where}", where.values)  # noqa: S608
    return (row[0], row[1]) if row else (0, 0)


def _inside(selection: Selection, operation: str | None, tool: str | None) -> Where:
    """What a span of the trace has to be; empty where anything will do."""
    inside = names_filter(selection)
    if operation is not None:
        inside.add("operation = ?", operation)
    if tool is not None:
        inside.add("tool = ?", tool)
    return inside


def _newest(
    cursor: duckdb.DuckDBPyConnection, where: Where, inside: Where, start_us: int, end_us: int, limit: int
) -> list[tuple[Any, ...]]:
    """The newest ``limit`` traces, looked for in windows that grow, so that what is common is found at once."""
    if not inside.conditions:
        return _window(cursor, where, None, start_us, end_us, limit)
    rows: list[tuple[Any, ...]] = []
    for begin, end in windows(cursor, start_us, end_us):
        rows += _window(cursor, where, inside, begin, end, limit - len(rows))
        if len(rows) >= limit:
            break
    return rows


def _window(
    cursor: duckdb.DuckDBPyConnection,
    where: Where,
    inside: Where | None,
    start_us: int,
    end_us: int,
    limit: int,
    order: TraceOrder = "newest",
) -> list[tuple[Any, ...]]:
    condition, values = _conditions(cursor, where, inside, start_us, end_us)
    return cursor.execute(
        f"SELECT {TRACE_COLUMNS} FROM traces WHERE {condition} ORDER BY {TRACE_ORDERS[order].expression} DESC, trace_id DESC "  # noqa: S608
        f"LIMIT {int(limit)}",
        values,
    ).fetchall()


def _conditions(
    cursor: duckdb.DuckDBPyConnection, where: Where, inside: Where | None, start_us: int, end_us: int
) -> tuple[str, list[Any]]:
    condition, values = f"{where} AND start_us >= ? AND start_us < ?", [*where.values, start_us, end_us]
    if inside is not None and inside.conditions:
        row = one(cursor, "SELECT max(last_start_us) FROM traces WHERE start_us >= ? AND start_us < ?", values[-2:])
        if row is None or row[0] is None:
            return "false", []
        # Each trace once: most are met several times, and to look for a trace among many takes longer than to put them together.
        condition += (
            f" AND trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE start_us BETWEEN ? AND ? AND {inside})"  # noqa: S608
        )
        values += [start_us, row[0], *inside.values]
    return condition, values


def _checked(cursor: str, trace_id: str) -> None:
    """The end of a cursor is a trace's number, or the cursor was not made here."""
    if not (trace_id.isascii() and trace_id.isdigit() and int(trace_id) < 1 << 128):
        unpack(cursor, "a trace")


def trace_row(row: tuple[Any, ...]) -> TraceRow:
    """What ``TRACE_COLUMNS`` of a trace's row say."""
    trace_id, root, *names, start_us, last_start_us, end_us, root_start_us, root_duration_us = row[: _ROOT_DURATION + 1]
    skewed = is_skewed(start_us, last_start_us, root_start_us, root_duration_us)
    duration_us = max(root_duration_us, 0) if skewed else end_us - start_us
    *sums, resumes = row[_ROOT_DURATION + 1 :]
    return TraceRow(
        *(format(trace_id, "032x"), hexed(root, 16), *names, start_us, duration_us, *sums, hexed(resumes, 32), skewed)
    )
