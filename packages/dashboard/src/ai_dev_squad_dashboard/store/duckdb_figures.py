"""Figures of the spans that arrived after a number: grouped by the engine, so that Python sees few rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import duckdb

from .duckdb_answers import number
from .figures import FIGURE_NAMES, NANO, Figure, FigureName, Kind, Sums

__all__ = ["COLUMNS", "figures", "newest_span"]

COLUMNS: Final[dict[FigureName, str]] = {
    "framework": "framework",
    "service": "service",
    "session": "session_id",
    "user": "user_id",
    "agent": "agent",
    "tool": "tool",
    "provider": "provider",
    "model": "model",
}
"""The name of a figure → the column of a span."""

_KINDS: Final = (
    f"{Kind.SPAN:d} + CASE WHEN parent_span_id IS NULL THEN {Kind.RUN:d} ELSE 0 END"
    f" + CASE WHEN usage_source IS NOT NULL THEN {Kind.CALL:d} ELSE 0 END"
    f" + CASE operation WHEN 'execute_tool' THEN {Kind.TOOL:d} WHEN 'invoke_agent' THEN {Kind.AGENT:d} ELSE 0 END"
)
# A stated start and duration may be anything; and a clock that is ahead must not put off what is known now.
_END: Final = "least(least(start_us, ?) + least(duration_us, ?), ?)"
_LARGEST: Final = 1e15
"""US dollars beyond which a sum is no sum of money."""


def newest_span(cursor: duckdb.DuckDBPyConnection, known: int) -> int:
    """The number of the newest span; asked from one that is known, so that few rows are looked at."""
    return number(cursor, "SELECT max(seq) FROM spans WHERE seq >= ?", [known]) or number(
        cursor, "SELECT max(seq) FROM spans"
    )


def figures(
    cursor: duckdb.DuckDBPyConnection,
    after: int,
    until: int,
    *,
    by: Sequence[FigureName],
    step_us: int,
    now_us: int,
    since_us: int | None,
    latency: bool,
) -> Sequence[Figure]:
    """The spans numbered above ``after`` and up to ``until``, put together; see ``Store.figures``."""
    names = ", ".join(COLUMNS[name] if name in by and name in COLUMNS else "NULL" for name in FIGURE_NAMES)
    moment = f"({_END} // {int(step_us)}) * {int(step_us)}"
    if since_us is None:
        # What has just arrived is few rows: putting them together here would cost more than it saves.
        rows = cursor.execute(
            f"SELECT {_KINDS}, {names}, {moment}, 1, (status = 'error')::INTEGER, cost_usd, coalesce(input_tokens, 0), "  # noqa: S608
            f"coalesce(output_tokens, 0), duration_us, {'bin' if latency else 'NULL'} FROM spans WHERE seq > ? AND seq <= ?",
            [now_us, now_us, now_us, after, until],
        ).fetchall()
        return [_figure(row, () if row[-1] is None else (row[-1],)) for row in rows]
    groups = ", ".join(str(place) for place in range(1, len(FIGURE_NAMES) + 3))
    rows = cursor.execute(
        f"SELECT {_KINDS}, {names}, {moment} AS at_us, count(*), "  # noqa: S608
        "count(*) FILTER (status = 'error'), sum(cost_usd), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), "
        f"sum(duration_us), {'list(bin)' if latency else 'NULL'} FROM spans "
        f"WHERE seq > ? AND seq <= ? AND {_END} >= ? GROUP BY {groups}",
        [now_us, now_us, now_us, after, until, now_us, now_us, now_us, since_us],
    ).fetchall()
    return [_figure(row, tuple(row[-1] or ())) for row in rows]


_NAMES: Final = slice(1, 1 + len(FIGURE_NAMES))


def _figure(row: tuple[Any, ...], bins: tuple[int, ...]) -> Figure:
    at_us, count, errors, cost, given, made, duration, _ = row[_NAMES.stop :]
    return Figure(row[0], row[_NAMES], at_us, Sums(count, errors, _nano(cost), given, made, duration), bins)


def _nano(usd: float | None) -> int:
    if usd is None:
        return 0
    # Costs that programs state are finite one by one; their sum need not be.
    return round(min(usd, _LARGEST) * NANO) if isfinite(usd) else round(_LARGEST * NANO)
