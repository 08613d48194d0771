"""Where sums are read: hours where whole hours are asked for, minutes around them, spans at the edges and what is new.

All of them have the same columns, so a question is written once. Nothing is counted twice: the pieces do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from .base import Selection
from .duckdb_answers import one
from .duckdb_rollup import HOUR_US, MINUTE_US, SUMS

__all__ = ["Where", "bins", "names_filter", "sums", "watermark"]

FILTERS: Final[dict[str, str]] = {
    "framework": "frameworks",
    "provider": "providers",
    "model": "models",
    "agent": "agents",
    "service": "services",
}
"""A series' column → the field of ``Selection`` that filters it."""

_RAW: Final[dict[str, str]] = {
    "spans": "1",
    "errors": "(status = 'error')::BIGINT",
    "duration_us": "duration_us",
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
        if values:
            where.add(f"{alias}{column} IN (SELECT unnest(?))", list(values))
    return where


def sums(cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int | None = None) -> tuple[str, list[Any]]:
    """A relation with ``at_us``, ``session_id``, the names of a series and the columns of ``SUMS``, and its values.

    ``step_us``: times are told at least as finely as that; without it, any piece may be as long as an hour.
    """
    return _union(cursor, selection, step_us, ("minutes", "hours"), ", ".join(SUMS), _raw_sums())


def bins(cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int | None = None) -> tuple[str, list[Any]]:
    """A relation with ``at_us``, ``session_id``, the names of a series, ``bin`` and ``spans``, and its values."""
    return _union(cursor, selection, step_us, ("minute_bins", "hour_bins"), "bin, spans", "bin, 1 AS spans")


def _raw_sums() -> str:
    return ", ".join(f"{_RAW[name]} AS {name}" for name in SUMS)


def _union(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    step_us: int | None,
    tables: tuple[str, str],
    columns: str,
    raw: str,
) -> tuple[str, list[Any]]:
    newest = watermark(cursor)
    parts: list[str] = []
    values: list[Any] = []
    for piece in _pieces(selection, step_us, tables):
        where = Where([], [])
        time = "start_us" if piece.table == "spans" else "at_us"
        either = " OR ".join(f"({time} >= ? AND {time} < ?)" for _ in piece.ranges)
        where.add(f"({either})", *(moment for each in piece.ranges for moment in each))
        # The whole span as well: it lets DuckDB skip rows that the alternatives would have it look at.
        where.add(f"{time} >= ?", min(start for start, _ in piece.ranges))
        where.add(f"{time} < ?", max(end for _, end in piece.ranges))
        if piece.new is not None:
            where.add("seq > ?" if piece.new else "seq <= ?", newest)
        if selection.sessions:
            where.add("session_id IN (SELECT unnest(?))", list(selection.sessions))
        if piece.table == "spans":
            parts.append(f"SELECT start_us AS at_us, session_id, series, {raw} FROM spans WHERE {where}")  # noqa: S608
        else:
            parts.append(f"SELECT at_us, NULL AS session_id, series, {columns} FROM {piece.table} WHERE {where}")  # noqa: S608
        values.extend(where.values)
    named = names_filter(selection, "n.")
    relation = (
        "SELECT f.*, n.framework, n.operation, n.provider, n.model, n.agent, n.tool, n.service, n.root, n.call "  # noqa: S608
        f"FROM ({' UNION ALL '.join(parts)}) f JOIN series n ON f.series = n.id WHERE {named}"
    )
    return relation, values + named.values


def _pieces(selection: Selection, step_us: int | None, tables: tuple[str, str]) -> list[_Piece]:
    start, end = selection.start_us, selection.end_us
    first, last = _up(start, MINUTE_US), _down(end, MINUTE_US)
    by_session = bool(selection.sessions) or step_us == 0
    if by_session or first >= last or (step_us is not None and step_us % MINUTE_US):
        return [_Piece("spans", [(start, end)])]
    minutes, hours = tables
    pieces = [
        _Piece("spans", [(start, end)], new=True),
        _Piece("spans", _some([(start, first), (last, end)]), new=False),
    ]
    first_hour, last_hour = _up(first, HOUR_US), _down(last, HOUR_US)
    if first_hour < last_hour and (step_us is None or step_us % HOUR_US == 0):
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
