"""Where sums are read: hours where whole hours are asked for, minutes around them, spans at the edges and what is new.

All of them have the same columns, so a question is written once. Nothing is counted twice: the pieces do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import duckdb

from .base import Selection
from .duckdb_answers import one
from .duckdb_rollup import HOUR_US, MINUTE_US, SUMS, TIMED, binned
from .selection import FILTERS
from .windows import growing

__all__ = [
    "Relation",
    "Where",
    "bins",
    "bins_of",
    "names_filter",
    "rootless",
    "runs_filter",
    "series_bins",
    "series_sums",
    "sessions",
    "sums",
    "sums_of",
    "traces_filter",
    "unpriced",
    "watermark",
    "windows",
]

Relation: TypeAlias = tuple[str, list[Any]]
"""A question, and the values bound to it."""

_GROWS: Final = 4

_RAW: Final[dict[str, str]] = {
    "spans": "1",
    "errors": "(status = 'error')::BIGINT",
    "duration_us": "greatest(duration_us, 0)",
    "cost_usd": "coalesce(cost_usd, 0)",
    "unpriced": "(usage_source IS NOT NULL AND cost_usd IS NULL)::BIGINT",
    "estimated": "coalesce(usage_source = 'estimated', false)::BIGINT",
    "uncounted": "coalesce(usage_source = 'missing', false)::BIGINT",
    **{name: f"coalesce({name}, 0)" for name in SUMS if name.endswith("_tokens") or name == "cache_saving_usd"},
}


@dataclass
class Where:
    """Conditions and the values bound to them. Conditions are ours, values are never part of the text."""

    conditions: list[str]
    values: list[Any]

    def __str__(self) -> str:
        return " AND ".join(self.conditions) if self.conditions else "true"

    def add(self, condition: str, *values: Any) -> None:
        """One more condition that must hold."""
        self.conditions.append(condition)
        self.values.extend(values)


@dataclass(frozen=True)
class _Piece:
    """A part of the answer: the rows of ``table`` whose time lies in one of ``ranges``."""

    table: str
    ranges: Sequence[tuple[int, int]]
    new: bool | None = None
    """Of spans: True for those behind the watermark, False for those before, ``None`` for all."""


def watermark(cursor: duckdb.DuckDBPyConnection) -> int:
    """The number of the last span that is rolled up, in the cursor's transaction."""
    row = one(cursor, "SELECT value FROM meta WHERE key = 'rolled_seq'")
    return int(row[0]) if row else 0


def names_filter(selection: Selection, alias: str = "") -> Where:
    """The filters of ``selection`` by names, on a table with a column for each."""
    where = Where([], [])
    for column, field in FILTERS.items():
        values = getattr(selection, field)
        if len(values) == 1:  # what a column is compared with is looked for in its dictionaries, a list in every row
            where.add(f"{alias}{column} = ?", values[0])
        elif values:
            where.add(f"{alias}{column} IN (SELECT unnest(?))", list(values))
    return where


def runs_filter(selection: Selection) -> Where:
    """The filters of ``selection`` by runs, on a table with the ids of sessions and traces."""
    where = Where([], [])
    if selection.sessions:
        where.add("session_id IN (SELECT unnest(?))", list(selection.sessions))
    if selection.users:
        where.add(
            "trace_id IN (SELECT trace_id FROM traces WHERE user_id IN (SELECT unnest(?)))", list(selection.users)
        )
    if selection.tasks:
        where.add("trace_id IN (SELECT trace_id FROM traces WHERE task IN (SELECT unnest(?)))", list(selection.tasks))
    for key in dict.fromkeys(key for key, _ in selection.labels):
        values = [value for name, value in selection.labels if name == key]
        where.add(
            "trace_id IN (SELECT trace_id FROM labels WHERE key = ? AND value IN (SELECT unnest(?)))", key, values
        )
    return where


def traces_filter(selection: Selection) -> Where:
    """On the table of traces: those that began in the selection's time, are its runs, and have a span with its names."""
    where = runs_filter(selection)
    where.add("start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    named = names_filter(selection)
    if named.conditions:
        where.add(
            f"trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE start_us >= ? AND {named})",  # noqa: S608
            selection.start_us,
            *named.values,
        )
    return where


def windows(
    cursor: duckdb.DuckDBPyConnection, start_us: int, end_us: int, table: str = "traces", time: str = "start_us"
) -> Iterator[tuple[int, int]]:
    """The time in which there are rows of this span of time, newest first, in windows that grow, so that what is common is found at once."""
    row = one(cursor, f"SELECT min({time}), max({time}) FROM {table}")  # noqa: S608
    if row is None or row[0] is None:
        return
    start_us, end_us = max(start_us, row[0]), min(end_us, row[1] + 1)
    yield from growing(start_us, end_us, _GROWS)


def sums(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int, columns: Iterable[str] = SUMS
) -> Relation:
    """A relation with ``at_us``, told as finely as ``step_us``, the names of a series and those ``columns`` of ``SUMS``."""
    pieces = _pieces(selection, step_us, "minutes", "hours")
    wanted, raw = f"series, {', '.join(columns)}", f"series, {_raw(columns)}"
    return _named(_union(watermark(cursor), selection, pieces, wanted, raw), selection)


def bins(cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int) -> Relation:
    """A relation with ``at_us``, told as finely as ``step_us``, the names of a series, ``bin`` and ``spans``."""
    pieces = _pieces(selection, step_us, "minute_bins", "hour_bins")
    return _named(_union(watermark(cursor), selection, pieces, _BINS, _RAW_BINS), selection)


def series_sums(cursor: duckdb.DuckDBPyConnection, periods: Sequence[Selection], newest: int) -> list[tuple[Any, ...]]:
    """Which of ``periods``, the number of a series and its columns of ``SUMS``: over their time and runs, whatever the names.

    One period, or one and that ``before`` it, ascending. ``newest`` is the watermark. Without names and kinds of columns there
    is little to plan, and planning is what these questions take their time for.
    """
    added = ", ".join(f"sum({name})" if name.endswith("_usd") else _WHOLE_SUM.format(name) for name in SUMS)
    relation, values = _periods(periods, newest, ("minutes", "hours"), f"series, {', '.join(SUMS)}", _RAW_SUMS)
    return cursor.execute(f"SELECT period, series, {added} FROM ({relation}) GROUP BY ALL", values).fetchall()  # noqa: S608


def series_bins(
    cursor: duckdb.DuckDBPyConnection, periods: Sequence[Selection], newest: int
) -> list[tuple[int, int, int, int]]:
    """Which of ``periods``, the number of a series, a bin and the spans in it; as ``series_sums``."""
    relation, values = _periods(periods, newest, ("minute_bins", "hour_bins"), _BINS, _RAW_BINS)
    return cursor.execute(
        f"SELECT period, series, bin, sum(spans)::BIGINT FROM ({relation}) GROUP BY ALL HAVING sum(spans) > 0",  # noqa: S608
        values,
    ).fetchall()


def rootless(cursor: duckdb.DuckDBPyConnection, periods: Sequence[Selection]) -> list[tuple[Any, ...]]:
    """Which of ``periods``, and a ``Rootless``: traces without a root over their time and runs; as ``series_sums``."""
    where, (first, last) = runs_filter(periods[-1]), (periods[0], periods[-1])
    where.add("root_span_id IS NULL AND start_us >= ? AND start_us < ?", first.start_us, last.end_us)
    return cursor.execute(
        f"SELECT CASE WHEN start_us >= ? THEN {len(periods) - 1} ELSE 0 END, framework, service, status = 'error', "  # noqa: S608
        f"({binned('end_us - start_us')})::INTEGER, count(*) "
        f"FROM traces WHERE {where} GROUP BY ALL",
        [last.start_us, *where.values],
    ).fetchall()


def sums_of(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int, series: Sequence[int], columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """The step, the number of each of ``series`` and those ``columns`` of ``SUMS``, whatever the names of the selection."""
    pieces = _pieces(selection, step_us, "minutes", "hours")
    added = ", ".join(f"sum({name})" if name.endswith("_usd") else _WHOLE_SUM.format(name) for name in columns)
    relation = _union(watermark(cursor), selection, pieces, f"series, {', '.join(columns)}", f"series, {_raw(columns)}")
    return _of(cursor, relation, step_us, series, f"series, {added}")


def bins_of(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int, series: Sequence[int]
) -> list[tuple[int, int, int]]:
    """The step, a bin and the spans of ``series`` in it; as ``sums_of``."""
    pieces = _pieces(selection, step_us, "minute_bins", "hour_bins")
    relation = _union(watermark(cursor), selection, pieces, _BINS, _RAW_BINS)
    return _of(cursor, relation, step_us, series, "bin, sum(spans)::BIGINT")


def _of(
    cursor: duckdb.DuckDBPyConnection, relation: Relation, step_us: int, series: Sequence[int], shown: str
) -> list[tuple[Any, ...]]:
    if not series:
        return []
    numbers = ", ".join(map(str, series))
    return cursor.execute(
        f"SELECT at_us // {int(step_us)} * {int(step_us)}, {shown} FROM ({relation[0]}) WHERE series IN ({numbers}) GROUP BY ALL",  # noqa: S608
        relation[1],
    ).fetchall()


def sessions(cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int) -> Relation:
    """A relation of model calls with ``at_us``, ``session_id``, the columns of ``SUMS`` and ``bins``, a list of their bins."""
    named = names_filter(selection)
    # There are no hours of sessions: minutes are asked for, or what is finer.
    pieces = _pieces(selection, MINUTE_US if step_us % MINUTE_US == 0 else step_us, "session_minutes", "")
    if named.conditions or any(selection.runs):
        pieces = [_Piece("spans", [(selection.start_us, selection.end_us)])]
    # A session's roll-up holds model calls only.
    named.add("usage_source IS NOT NULL")
    columns = f"session_id, {', '.join(SUMS)}, bins"
    raw = f"session_id, {_raw(SUMS)}, CASE WHEN {TIMED} THEN [bin] ELSE [] END AS bins"
    relation, values = _union(watermark(cursor), selection, pieces, columns, raw, named)
    return f"SELECT *, true AS call FROM ({relation})", values  # noqa: S608


def unpriced(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Relation:
    """A relation of model calls without a price: the names of a series, ``cost_reason`` and ``spans``."""
    without = Where(["usage_source IS NOT NULL AND cost_usd IS NULL"], [])
    pieces = _pieces(selection, MINUTE_US, "unpriced_minutes", "")
    columns, raw = "series, cost_reason, spans", "series, cost_reason, 1 AS spans"
    return _named(_union(watermark(cursor), selection, pieces, columns, raw, without), selection)


def _raw(columns: Iterable[str]) -> str:
    return ", ".join(f"{_RAW[name]} AS {name}" for name in columns)


_WHOLE_SUM: Final = "least(sum({}), 9223372036854775807)::BIGINT"
"""A sum never fails: what a sender could state once may be in a file for a month."""
_RAW_SUMS: Final = f"series, {_raw(SUMS)}"
_BINS: Final = "series, bin, spans"
_RAW_BINS: Final = f"series, bin, ({TIMED})::BIGINT AS spans"


def _periods(periods: Sequence[Selection], newest: int, tables: tuple[str, str], columns: str, raw: str) -> Relation:
    """A relation of all periods, whose pieces of one table are read together, with ``period``, the place of each row's."""
    ranges: dict[tuple[str, bool | None], list[tuple[int, int]]] = {}
    for selection in periods:
        for piece in _pieces(selection, HOUR_US, *tables):
            ranges.setdefault((piece.table, piece.new), []).extend(piece.ranges)
    pieces = [_Piece(table, times, new) for (table, new), times in ranges.items()]
    relation, values = _union(newest, periods[-1], pieces, columns, raw)
    place = f"CASE WHEN at_us >= ? THEN {len(periods) - 1} ELSE 0 END"
    return f"SELECT {place} AS period, * FROM ({relation})", [periods[-1].start_us, *values]  # noqa: S608


def _union(
    newest: int,
    selection: Selection,
    pieces: Sequence[_Piece],
    columns: str,
    raw: str,
    of_spans: Where | None = None,
) -> Relation:
    parts: list[str] = []
    values: list[Any] = []
    for piece in pieces:
        where = Where([], [])
        time = "start_us" if piece.table == "spans" else "at_us"
        either = " OR ".join(f"({time} >= ? AND {time} < ?)" for _ in piece.ranges)
        where.add(f"({either})", *(moment for each in piece.ranges for moment in each))
        if piece.new is not None:
            where.add("seq > ?" if piece.new else "seq <= ?", newest)
        runs = runs_filter(selection)
        where.add(str(runs), *runs.values)
        if piece.table == "spans" and of_spans is not None:
            where.add(str(of_spans), *of_spans.values)
        shown = raw if piece.table == "spans" else columns
        parts.append(f"SELECT {time} AS at_us, {shown} FROM {piece.table} WHERE {where}")  # noqa: S608
        values.extend(where.values)
    return " UNION ALL ".join(parts), values


def _named(relation: Relation, selection: Selection) -> Relation:
    """The same with the names of each series, filtered by them."""
    text, values = relation
    named = names_filter(selection, "n.")
    question = (
        "SELECT f.*, n.framework, n.operation, n.provider, n.model, n.agent, n.tool, n.service, n.root, n.call "  # noqa: S608
        f"FROM ({text}) f JOIN series n ON f.series = n.id WHERE {named}"
    )
    return question, values + named.values


def _pieces(selection: Selection, step_us: int, minutes: str, hours: str) -> list[_Piece]:
    start, end = selection.start_us, selection.end_us
    first, last = _up(start, MINUTE_US), _down(end, MINUTE_US)
    if any(selection.runs) or first >= last or step_us % MINUTE_US:
        return [_Piece("spans", [(start, end)])]
    pieces = [
        _Piece("spans", [(start, end)], new=True),
        _Piece("spans", _some([(start, first), (last, end)]), new=False),
    ]
    first_hour, last_hour = _up(first, HOUR_US), _down(last, HOUR_US)
    if first_hour < last_hour and step_us % HOUR_US == 0:
        pieces.append(_Piece(minutes, _some([(first, first_hour), (last_hour, last)])))
        pieces.append(_Piece(hours, [(first_hour, last_hour)]))
    else:
        pieces.append(_Piece(minutes, [(first, last)]))
    return [piece for piece in pieces if piece.ranges]


def _some(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start, end) for start, end in ranges if start < end]


def _up(moment: int, unit: int) -> int:
    return -(-moment // unit) * unit


def _down(moment: int, unit: int) -> int:
    return moment // unit * unit
