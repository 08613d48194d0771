"""Traces: the list, one of them, one of its spans, and the sessions they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb

from .base import Selection, Session, SessionPage, Trace, TracePage, TraceRow
from .cursors import pack, unpack
from .duckdb_answers import one
from .duckdb_columns import SPAN_COLUMNS, hexed, split_trace_id
from .duckdb_facts import Where, names_filter, runs_filter
from .duckdb_logs import LOG_COLUMNS, log_row, running_of
from .rows import LogRow, SpanRow

__all__ = ["TRACE_COLUMNS", "details", "session", "sessions", "span", "trace", "trace_row", "traces"]

TRACE_COLUMNS: Final = (
    "trace_id, root_span_id, name, operation, framework, service, session_id, status, error_type, start_us, "
    "end_us - start_us, spans, errors, calls, tools, input_tokens, output_tokens, cost_usd, unpriced, "
    "user_id, task, version, resumes"
)
_SPAN: Final = ", ".join(("trace_id", "span_id", "parent_span_id", *SPAN_COLUMNS))
_SPAN_BARE: Final = ", ".join("NULL" if name in {"details", "text"} else name for name in _SPAN.split(", "))
_FIRST_WINDOW_US: Final = 5 * 60_000_000
_LOG_SLACK_US: Final = 3_600_000_000
"""How far from its trace a log line may lie to be found with it."""


def traces(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    text: str,
    status: str | None,
    operation: str | None,
    tool: str | None,
    name: str | None,
    min_duration_us: int | None,
    min_cost_usd: float | None,
    after: str | None,
    limit: int,
) -> TracePage:
    """The newest traces. Filters by names, operation and tool hold for one and the same span, so do the words of a text."""
    where = runs_filter(selection)
    if status == "error":
        where.add("(status = 'error' OR errors > 0)")
    elif status is not None:
        where.add("status = ?", status)
    if name is not None:
        where.add("name = ?", name)
    if min_duration_us is not None:
        where.add("end_us - start_us >= ?", min_duration_us)
    if min_cost_usd is not None:
        where.add("cost_usd >= ?", min_cost_usd)
    end_us = selection.end_us
    if after is not None:
        start, trace_id = unpack(after, "traces", int, str)
        where.add("(start_us, trace_id) < (?::BIGINT, ?::UHUGEINT)", start, _checked(after, str(trace_id)))
        end_us = min(end_us, int(start) + 1)
    inside = _inside(selection, text, operation, tool)
    rows = _newest(cursor, where, inside, selection.start_us, end_us, limit + 1)
    page = tuple(trace_row(row) for row in rows[:limit])
    more = pack("traces", page[-1].start_us, page[-1].trace_id) if len(rows) > limit else None
    return TracePage(page, more)


def trace(cursor: duckdb.DuckDBPyConnection, trace_id: str, limit: int) -> Trace | None:
    """A whole trace, also one of which nothing has finished yet."""
    number = split_trace_id(trace_id)
    running = tuple(running_of(cursor, number)) if number is not None else ()
    row = _row_of(cursor, number)
    if row is None:
        return _unfinished(running, cursor, number) if running else None
    start, last, end = row[-3:]
    spans = cursor.execute(
        f"SELECT {_SPAN_BARE} FROM spans WHERE trace_id = ?::UHUGEINT AND start_us BETWEEN ? AND ? "  # noqa: S608
        f"ORDER BY start_us, parent_span_id IS NOT NULL, duration_us DESC, span_id LIMIT {int(limit) + 1}",
        [number, start, last],
    ).fetchall()
    logs = _logs_of(cursor, number, start, end, limit)
    return Trace(
        trace_row(row[:-3]), tuple(_span_row(each) for each in spans[:limit]), logs, running, len(spans) > limit
    )


def span(cursor: duckdb.DuckDBPyConnection, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
    """One span with its details and text, and its log lines."""
    number = split_trace_id(trace_id)
    row = _row_of(cursor, number)
    try:
        own = int(span_id, 16) if len(span_id) == 16 else None
    except ValueError:
        own = None
    if row is None or own is None:
        return None
    start, last, end = row[-3:]
    found = one(
        cursor,
        f"SELECT {_SPAN} FROM spans WHERE trace_id = ?::UHUGEINT AND span_id = ?::UBIGINT AND start_us BETWEEN ? AND ?",  # noqa: S608
        [number, own, start, last],
    )
    if found is None:
        return None
    logs = _logs_of(cursor, number, start, end, 10_000)
    return _span_row(found), tuple(line for line in logs if line.span_id == span_id.lower())


def details(cursor: duckdb.DuckDBPyConnection, trace_id: str, limit: int) -> Iterator[tuple[str, bytes]]:
    """(span_id, details) of each span of a trace that has details, by start."""
    number = split_trace_id(trace_id)
    row = _row_of(cursor, number)
    if row is None:
        return
    cursor.execute(
        "SELECT span_id, details FROM spans WHERE trace_id = ?::UHUGEINT AND start_us BETWEEN ? AND ? AND details IS NOT NULL "  # noqa: S608
        f"ORDER BY start_us, parent_span_id IS NOT NULL, duration_us DESC, span_id LIMIT {int(limit)}",
        [number, row[-3], row[-2]],
    )
    while rows := cursor.fetchmany(100):
        for span_id, content in rows:
            yield format(span_id, "016x"), content


def sessions(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, *, text: str, after: str | None, limit: int
) -> SessionPage:
    """Sessions put together from their traces in the selection. Each word occurs in a session's id or a trace's name."""
    where = runs_filter(selection)
    where.add("session_id IS NOT NULL AND start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    named = names_filter(selection)
    if named.conditions:
        where.add(
            f"trace_id IN (SELECT trace_id FROM spans WHERE start_us >= ? AND {named})",  # noqa: S608
            selection.start_us,
            *named.values,
        )
    having = Where([], [])
    for word in text.split():
        having.add("(contains(lower(session_id), lower(?)) OR bool_or(contains(lower(name), lower(?))))", word, word)
    if after is not None:
        last, session_id = unpack(after, "sessions", int, str)
        having.add("(end_us < ? OR (end_us = ? AND session_id > ?))", last, last, session_id)
    rows = cursor.execute(
        f"{_SESSION} WHERE {where} GROUP BY session_id HAVING {having} "
        f"ORDER BY end_us DESC, session_id LIMIT {int(limit) + 1}",
        where.values + having.values,
    ).fetchall()
    page = tuple(Session(*row) for row in rows[:limit])
    more = pack("sessions", page[-1].end_us, page[-1].session_id) if len(rows) > limit else None
    return SessionPage(page, more)


def session(
    cursor: duckdb.DuckDBPyConnection, session_id: str, limit: int
) -> tuple[Session, tuple[TraceRow, ...]] | None:
    """A session over all time, and its newest traces, oldest of them first."""
    row = one(cursor, f"{_SESSION} WHERE session_id = ? GROUP BY session_id", [session_id])
    if row is None:
        return None
    rows = cursor.execute(
        f"SELECT {TRACE_COLUMNS} FROM traces WHERE session_id = ? ORDER BY start_us DESC, trace_id DESC LIMIT {int(limit)}",  # noqa: S608
        [session_id],
    ).fetchall()
    return Session(*row), tuple(trace_row(each) for each in reversed(rows))


_SESSION: Final = (
    "SELECT session_id, arg_min(framework, start_us), min(start_us), max(traces.end_us) AS end_us, count(*), "
    "count(*) FILTER (status = 'error'), sum(calls)::BIGINT, sum(input_tokens), sum(output_tokens), sum(cost_usd), "
    "sum(unpriced)::BIGINT, arg_max(name, start_us), arg_max(user_id, start_us) FROM traces"
)


def _inside(selection: Selection, text: str, operation: str | None, tool: str | None) -> Where:
    """What a span of the trace has to be; empty where anything will do."""
    inside = names_filter(selection)
    if operation is not None:
        inside.add("operation = ?", operation)
    if tool is not None:
        inside.add("tool = ?", tool)
    fields = ("name", "error_type", "error_message", "text")
    for word in text.split():
        # contains() instead of LIKE: there is nothing to escape.
        inside.add(
            "(" + " OR ".join(f"coalesce(contains(lower({field}), lower(?)), false)" for field in fields) + ")",
            *[word] * len(fields),
        )
    return inside


def _newest(
    cursor: duckdb.DuckDBPyConnection, where: Where, inside: Where, start_us: int, end_us: int, limit: int
) -> list[tuple[Any, ...]]:
    """The newest ``limit`` traces, looked for in windows that grow, so that a common word is found at once."""
    if not inside.conditions:
        return _window(cursor, where, None, start_us, end_us, limit)
    row = one(cursor, "SELECT min(start_us), max(start_us) FROM traces")
    if row is None or row[0] is None:
        return []
    start_us, end_us = max(start_us, row[0]), min(end_us, row[1] + 1)
    rows: list[tuple[Any, ...]] = []
    length = _FIRST_WINDOW_US
    while end_us > start_us and len(rows) < limit:
        begin = max(start_us, end_us - length)
        rows += _window(cursor, where, inside, begin, end_us, limit - len(rows))
        end_us, length = begin, length * 4
    return rows


def _window(
    cursor: duckdb.DuckDBPyConnection, where: Where, inside: Where | None, start_us: int, end_us: int, limit: int
) -> list[tuple[Any, ...]]:
    condition, values = f"{where} AND start_us >= ? AND start_us < ?", [*where.values, start_us, end_us]
    if inside is not None:
        row = one(cursor, "SELECT max(last_start_us) FROM traces WHERE start_us >= ? AND start_us < ?", values[-2:])
        if row is None or row[0] is None:
            return []
        condition += f" AND trace_id IN (SELECT trace_id FROM spans WHERE start_us BETWEEN ? AND ? AND {inside})"  # noqa: S608
        values += [start_us, row[0], *inside.values]
    return cursor.execute(
        f"SELECT {TRACE_COLUMNS} FROM traces WHERE {condition} ORDER BY start_us DESC, trace_id DESC LIMIT {int(limit)}",  # noqa: S608
        values,
    ).fetchall()


def _row_of(cursor: duckdb.DuckDBPyConnection, number: int | None) -> tuple[Any, ...] | None:
    if number is None:
        return None
    return one(
        cursor,
        f"SELECT {TRACE_COLUMNS}, start_us, last_start_us, end_us FROM traces WHERE trace_id = ?::UHUGEINT",  # noqa: S608
        [number],
    )


def _unfinished(running: Sequence[Any], cursor: duckdb.DuckDBPyConnection, number: int | None) -> Trace:
    first = min(running, key=lambda row: (row.parent_span_id is not None, row.start_us))
    start = min(row.start_us for row in running)
    end = max(row.start_us for row in running)
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
    return Trace(row, (), _logs_of(cursor, number, start, end, 20_000), tuple(running), truncated=False)


def _logs_of(
    cursor: duckdb.DuckDBPyConnection, number: int | None, start_us: int, end_us: int, limit: int
) -> tuple[LogRow, ...]:
    rows = cursor.execute(
        f"SELECT {LOG_COLUMNS} FROM logs WHERE trace_id = ?::UHUGEINT AND time_us BETWEEN ? AND ? ORDER BY time_us, id "  # noqa: S608
        f"LIMIT {int(limit)}",
        [number, start_us - _LOG_SLACK_US, end_us + _LOG_SLACK_US],
    ).fetchall()
    return tuple(log_row(row) for row in rows)


def _checked(cursor: str, trace_id: str) -> int:
    number = split_trace_id(trace_id)
    if number is None:
        unpack(cursor, "a trace")  # it was not made here
        raise AssertionError
    return number


def trace_row(row: tuple[Any, ...]) -> TraceRow:
    """What ``TRACE_COLUMNS`` of a trace's row say."""
    trace_id, root, *rest, resumes = row
    return TraceRow(*(format(trace_id, "032x"), hexed(root, 16), *rest, hexed(resumes, 32)))


def _span_row(row: tuple[Any, ...]) -> SpanRow:
    trace_id, span_id, parent, *rest = row
    return SpanRow(format(trace_id, "032x"), format(span_id, "016x"), hexed(parent, 16), *rest)
