"""Log lines, what runs now, metrics, and model calls as entries of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb

from ai_dev_squad.costs import CostEntry

from . import search_lines, search_rows
from .base import LogPage, MetricName, Selection
from .cursors import pack, unpack
from .duckdb_answers import one
from .duckdb_columns import hexed, split_trace_id
from .duckdb_facts import Where, names_filter, runs_filter
from .duckdb_together import of_each
from .ledger import ENTRY_COLUMNS, entry_of
from .rows import LogRow, OpenRow
from .search_index import IndexReader
from .search_newest import Asked
from .search_words import terms_of
from .windows import SLACK_US

__all__ = ["LOG_COLUMNS", "entries", "log_row", "logs", "logs_of", "metric_names", "running", "running_of"]

LOG_COLUMNS: Final = (
    "time_us, level, event_type, message, framework, service, session_id, agent, trace_id, span_id, source, details"
)
_OPEN: Final = "trace_id, span_id, parent_span_id, start_us, name, operation, framework, session_id, agent"


def logs(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    levels: Sequence[str],
    event_types: Sequence[str],
    text: str,
    trace_id: str | None,
    before: str | None,
    after: str | None,
    limit: int,
    index: IndexReader | None,
) -> LogPage:
    """Log lines. Filters by provider and model do not apply: lines have neither."""
    newest, terms = _newest(cursor), terms_of(text)
    if not terms and text.strip():
        return LogPage((), None, pack("logs", newest))  # nothing in it is a word
    where = Where([], [])
    where.add("time_us >= ? AND time_us < ?", selection.start_us, selection.end_us)
    for column, values in (
        ("framework", selection.frameworks),
        ("agent", selection.agents),
        ("service", selection.services),
        ("level", levels),
        ("event_type", event_types),
    ):
        if values:
            where.add(f"{column} IN (SELECT unnest(?))", list(values))
    runs = runs_filter(selection)
    where.add(str(runs), *runs.values)
    if trace_id is not None:
        number = split_trace_id(trace_id)
        # An id that cannot be is the id of no line.
        where.add("trace_id = ?::UHUGEINT", number)
    if after is not None:
        (last,) = unpack(after, "logs", int)
        where.add("id > ?", last)
        if terms:
            where.add("id IN (SELECT unnest(?::BIGINT[]))", search_rows.lines_with(cursor, terms, where)[:limit])
        rows = _select(cursor, where, "id", limit)
        # A full page may have left lines behind: the next one starts at its end.
        newest = rows[-1][0] if len(rows) == limit else max(newest, int(last))
        return LogPage(tuple(log_row(row[1:]) for row in rows), None, pack("logs", newest))
    end_us = selection.end_us
    if before is not None:
        behind = unpack(before, "older logs", int, int)
        where.add("(time_us, id) < (?, ?)", *behind)
        end_us = min(end_us, int(behind[0]) + 1)
    if terms:
        asked = Asked(
            search_lines.SHELF, f"id, {LOG_COLUMNS}", where, Where([], []), selection.start_us, end_us, limit + 1
        )
        rows, complete = search_lines.newest(cursor, index, terms, asked)
    else:
        rows, complete = _select(cursor, where, "time_us DESC, id DESC", limit + 1), True
    more = pack("older logs", rows[limit - 1][1], rows[limit - 1][0]) if len(rows) > limit else None
    return LogPage(tuple(log_row(row[1:]) for row in rows[:limit]), more, pack("logs", newest), complete)


def running(cursor: duckdb.DuckDBPyConnection, since_us: int, limit: int) -> Sequence[OpenRow]:
    """What has begun at ``since_us`` or later and not ended, newest first."""
    rows = cursor.execute(
        f"SELECT {_OPEN} FROM running WHERE start_us >= ? ORDER BY start_us DESC, span_id LIMIT {int(limit)}",  # noqa: S608
        [since_us],
    ).fetchall()
    return [_open_row(row) for row in rows]


def running_of(cursor: duckdb.DuckDBPyConnection, trace_id: int, found: dict[Any, Any]) -> tuple[OpenRow, ...]:
    """What of one trace has begun and not ended, oldest first."""

    def ask(numbers: Sequence[int]) -> dict[int, list[OpenRow]]:
        ids = ", ".join("?::UHUGEINT" for _ in numbers)
        rows = cursor.execute(
            f"SELECT {_OPEN} FROM running WHERE trace_id IN ({ids}) ORDER BY start_us, span_id",  # noqa: S608
            numbers,
        ).fetchall()
        opened: dict[int, list[OpenRow]] = {}
        for row in map(_open_row, rows):
            opened.setdefault(int(row.trace_id, 16), []).append(row)
        return opened

    return tuple(of_each("running", trace_id, found, ask) or ())


def logs_of(
    cursor: duckdb.DuckDBPyConnection, number: int | None, start_us: int, end_us: int, limit: int
) -> tuple[LogRow, ...]:
    """The lines of a trace that lasted from ``start_us`` to ``end_us``, oldest first."""
    rows = cursor.execute(
        f"SELECT {LOG_COLUMNS} FROM logs WHERE trace_id = ?::UHUGEINT AND time_us BETWEEN ? AND ? ORDER BY time_us, id "  # noqa: S608
        f"LIMIT {int(limit)}",
        [number, start_us - SLACK_US, end_us + SLACK_US],
    ).fetchall()
    return tuple(log_row(row) for row in rows)


def metric_names(cursor: duckdb.DuckDBPyConnection, limit: int) -> Sequence[MetricName]:
    """The metrics that have been received, by name."""
    rows = cursor.execute(
        "SELECT name, kind, unit, count(*), max(time_us), arg_max({'v': value}, time_us).v FROM metrics "  # noqa: S608
        f"GROUP BY name, kind, unit ORDER BY name, kind, unit LIMIT {int(limit)}"
    ).fetchall()
    return [MetricName(*row) for row in rows]


def entries(cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> Sequence[CostEntry]:
    """The newest model calls, newest first."""
    where = names_filter(selection)
    where.add("start_us >= ? AND start_us < ? AND usage_source IS NOT NULL", selection.start_us, selection.end_us)
    runs = runs_filter(selection)
    where.add(str(runs), *runs.values)
    rows = cursor.execute(
        f"SELECT {ENTRY_COLUMNS}, details FROM spans WHERE {where} ORDER BY start_us DESC, span_id LIMIT {int(limit)}",  # noqa: S608
        where.values,
    ).fetchall()
    return [entry_of(row, format(row[2], "032x"), format(row[3], "016x")) for row in rows]


def _select(cursor: duckdb.DuckDBPyConnection, where: Where, order: str, limit: int) -> list[tuple[Any, ...]]:
    return cursor.execute(
        f"SELECT id, {LOG_COLUMNS} FROM logs WHERE {where} ORDER BY {order} LIMIT {int(limit)}",  # noqa: S608
        where.values,
    ).fetchall()


def _newest(cursor: duckdb.DuckDBPyConnection) -> int:
    row = one(cursor, "SELECT max(id) FROM logs")
    return int(row[0] or 0) if row else 0


def log_row(row: tuple[Any, ...]) -> LogRow:
    """A line as it was written, from ``LOG_COLUMNS``."""
    *fields, trace_id, span_id, source, details = row
    return LogRow._make((*fields, hexed(trace_id, 32), hexed(span_id, 16), source, details))


def _open_row(row: tuple[Any, ...]) -> OpenRow:
    trace_id, span_id, parent, *rest = row
    return OpenRow(format(trace_id, "032x"), format(span_id, "016x"), hexed(parent, 16), *rest)
