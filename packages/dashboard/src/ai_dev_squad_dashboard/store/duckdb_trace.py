"""One trace: its spans, its lines and what was captured; and one of its spans."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import duckdb

from .base import Fingerprint, Trace
from .duckdb_answers import number as number_of
from .duckdb_answers import one
from .duckdb_clashes import clashes_of
from .duckdb_columns import SPAN_COLUMNS, hexed, split_trace_id
from .duckdb_logs import LOG_COLUMNS, log_row, logs_of, running_of
from .duckdb_traces import Stored, stored
from .outline import LOOP, MOST_LOOPS, Outline, OutlineSpan
from .rows import LogRow, SpanRow
from .unfinished import unfinished, unfinished_outline
from .windows import SLACK_US

__all__ = ["details", "fingerprints", "outline", "span", "trace"]

_SPAN: Final = ", ".join(("trace_id", "span_id", "parent_span_id", *SPAN_COLUMNS))
# The trace's id is known, and the engine takes longer to hand over an integer of 128 bits than all the rest of a row.
_SPAN_BARE: Final = ", ".join("NULL" if name in {"trace_id", "details", "text"} else name for name in _SPAN.split(", "))
_SPAN_ID: Final = 1
_FEW: Final = 200
_OUTLINE: Final = (
    "lpad(lower(hex(span_id)), 16, '0'), lpad(lower(hex(parent_span_id)), 16, '0'), start_us, duration_us, name, operation, "
    "status, agent, usage_source, cost_usd, input_tokens, output_tokens, error_type, left(error_message, 300), first_chunk_us"
)


def trace(cursor: duckdb.DuckDBPyConnection, trace_id: str, limit: int, found: dict[Any, Any]) -> Trace | None:
    """A whole trace, also one of which nothing has finished yet."""
    number = split_trace_id(trace_id)
    if number is None:
        return None
    running = running_of(cursor, number, found)
    known = stored(cursor, [number], found).get(number)
    if known is None:
        return unfinished(running, lambda start, end: logs_of(cursor, number, start, end, 20_000)) if running else None
    spans = _read_together(cursor, number, known, found)
    if spans is None:
        spans = _spans_of(cursor, f"{_SPAN_BARE}, NULL", number, known, limit + 1)
    return Trace(
        known.row,
        tuple(_span_row(trace_id.lower(), each[:-1]) for each in spans[:limit]),
        logs_of(cursor, number, known.row.start_us, known.end_us, limit),
        running,
        len(spans) > limit,
        clashes_of(cursor, number, found),
    )


def outline(cursor: duckdb.DuckDBPyConnection, trace_id: str, limit: int, found: dict[Any, Any]) -> Outline | None:
    """The operations of a trace, also of one of which nothing has finished yet."""
    number = split_trace_id(trace_id)
    if number is None:
        return None
    running = running_of(cursor, number, found)
    known = stored(cursor, [number], found).get(number)
    if known is None:
        if not running:
            return None
        return unfinished_outline(running, lambda start, end: logs_of(cursor, number, start, end, 20_000))
    spans: list[tuple[Any, ...]] = []
    if limit:  # sorting all of them for none would take as long as for some
        spans = _spans_of(cursor, _OUTLINE, number, known, limit + 1)
    lines = "FROM logs WHERE trace_id = ?::UHUGEINT AND time_us BETWEEN ? AND ?"
    around = [number, known.row.start_us - SLACK_US, known.end_us + SLACK_US]
    loops = cursor.execute(
        f"SELECT {LOG_COLUMNS} {lines} AND event_type = ? ORDER BY time_us, id LIMIT {MOST_LOOPS}", [*around, LOOP]
    ).fetchall()
    return Outline(
        known.row,
        tuple(map(OutlineSpan._make, spans[:limit])),
        running,
        truncated=len(spans) > limit or not limit,
        clashes=clashes_of(cursor, number, found),
        lines=number_of(cursor, f"SELECT count(*) {lines}", around),
        told=tuple(map(log_row, loops)),
    )


def span(cursor: duckdb.DuckDBPyConnection, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
    """One span with its details and text, and its log lines."""
    number = split_trace_id(trace_id)
    times = _times_of(cursor, number)
    try:
        own = int(span_id, 16) if len(span_id) == 16 else None
    except ValueError:
        own = None
    if times is None or own is None:
        return None
    start, last, end = times
    found = one(
        cursor,
        f"SELECT {_SPAN} FROM spans WHERE trace_id = ?::UHUGEINT AND span_id = ?::UBIGINT AND start_us BETWEEN ? AND ?",  # noqa: S608
        [number, own, start, last],
    )
    if found is None:
        return None
    logs = logs_of(cursor, number, start, end, 10_000)
    return _span_row(trace_id.lower(), found), tuple(line for line in logs if line.span_id == span_id.lower())


_HASHED: Final = (
    "CASE WHEN given IS NOT NULL THEN hash(given) END, "
    "CASE WHEN given IS NOT NULL THEN hash(json_extract(given, '$[#-2]'), json_extract(given, '$[#-1]')) END, "
    "coalesce(json_array_length(given), 0), CASE WHEN came IS NOT NULL THEN hash(came) END"
)


def fingerprints(cursor: duckdb.DuckDBPyConnection, trace_id: str, limit: int) -> dict[str, Fingerprint]:
    """What calls are compared by. Hashed here, so that no content has to be handed over."""
    number = split_trace_id(trace_id)
    times = _times_of(cursor, number)
    if times is None:
        return {}
    rows = cursor.execute(
        f"SELECT span_id, {_HASHED} FROM (SELECT span_id, json_extract(decode(details), '$.input') AS given, "  # noqa: S608
        "json_extract(decode(details), '$.output') AS came FROM spans WHERE trace_id = ?::UHUGEINT AND start_us BETWEEN ? AND ? "
        "AND details IS NOT NULL AND (usage_source IS NOT NULL OR operation IN ('execute_tool', 'retrieval')) "
        f"ORDER BY start_us LIMIT {int(limit)}) WHERE given IS NOT NULL OR came IS NOT NULL",
        [number, *times[:2]],
    ).fetchall()
    return {format(span_id, "016x"): Fingerprint(*hashes) for span_id, *hashes in rows}


def details(
    cursor: duckdb.DuckDBPyConnection, trace_id: str, limit: int, found: dict[Any, Any]
) -> Iterator[tuple[str, bytes]]:
    """(span_id, details) of each span of a trace that has details, by start."""
    number = split_trace_id(trace_id)
    known = None if number is None else stored(cursor, [number], found).get(number)
    if number is None or known is None:
        return
    together = _read_together(cursor, number, known, found)
    if together is not None:
        given = ((row[_SPAN_ID], row[-1]) for row in together if row[-1] is not None)
        yield from ((format(span_id, "016x"), content) for span_id, content in islice(given, limit))
        return
    cursor.execute(
        "SELECT span_id, details FROM spans WHERE trace_id = ?::UHUGEINT AND start_us BETWEEN ? AND ? AND details IS NOT NULL "  # noqa: S608
        f"{_first_of(limit, known.row.spans)}",
        [number, known.row.start_us, known.last_start_us],
    )
    while rows := cursor.fetchmany(100):
        for span_id, content in rows:
            yield format(span_id, "016x"), content


def _read_together(
    cursor: duckdb.DuckDBPyConnection, number: int, known: Stored, found: dict[Any, Any]
) -> list[tuple[Any, ...]] | None:
    """All spans of a trace that is asked for beside others, and behind its columns each one's details; ``None`` where there are many.

    A page that lays runs side by side asks for both, and to plan a statement takes longer than to read what it finds.
    """
    if number not in found.get("together", ()) or known.row.spans > _FEW:
        return None
    if ("spans", number) not in found:
        found["spans", number] = _spans_of(cursor, f"{_SPAN_BARE}, details", number, known, _FEW)
    spans: list[tuple[Any, ...]] = found["spans", number]
    return spans


def _spans_of(
    cursor: duckdb.DuckDBPyConnection, columns: str, number: int, known: Stored, limit: int
) -> list[tuple[Any, ...]]:
    """The first ``limit`` spans of a trace that is stored."""
    return cursor.execute(
        f"SELECT {columns} FROM spans WHERE trace_id = ?::UHUGEINT AND start_us BETWEEN ? AND ? "  # noqa: S608
        f"{_first_of(limit, known.row.spans)}",
        [number, known.row.start_us, known.last_start_us],
    ).fetchall()


def _first_of(limit: int, spans: int) -> str:
    """The order of the spans of a trace, of which there are so many. The engine takes twice as long where it has to stop."""
    return f"ORDER BY start_us, parent_span_id IS NOT NULL, seq{f' LIMIT {int(limit)}' if spans > limit else ''}"


def _times_of(cursor: duckdb.DuckDBPyConnection, number: int | None) -> tuple[int, int, int] | None:
    """When the first span of a trace began, and when the last one began and ended."""
    if number is None:
        return None
    return one(cursor, "SELECT start_us, last_start_us, end_us FROM traces WHERE trace_id = ?::UHUGEINT", [number])


def _span_row(trace_id: str, row: tuple[Any, ...]) -> SpanRow:
    _, span_id, parent, *rest = row
    return SpanRow(trace_id, format(span_id, "016x"), hexed(parent, 16), *rest)
