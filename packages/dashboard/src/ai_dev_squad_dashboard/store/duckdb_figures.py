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
_END: Final = "least(start_us::HUGEINT + duration_us, ?::HUGEINT)"
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
    names = [COLUMNS[name] if name in by and name in COLUMNS else "NULL" for name in FIGURE_NAMES]
    conditions, values = ["seq > ?", "seq <= ?"], [now_us, after, until]
    if since_us is not None:
        conditions.append(f"{_END} >= ?")
        values += [now_us, since_us]
    rows = cursor.execute(
        f"SELECT {_KINDS}, {', '.join(names)}, ({_END} // {int(step_us)})::BIGINT * {int(step_us)} AS at_us, count(*), "  # noqa: S608
        "count(*) FILTER (status = 'error'), sum(cost_usd), sum(input_tokens), sum(output_tokens), sum(duration_us), "
        f"{'list(bin)' if latency else 'NULL'} FROM spans WHERE {' AND '.join(conditions)} "
        f"GROUP BY {', '.join(str(place) for place in range(1, len(names) + 3))}",
        values,
    ).fetchall()
    return [_figure(row) for row in rows]


def _figure(row: tuple[Any, ...]) -> Figure:
    kinds, *names, at_us, count, errors, cost, given, made, duration, bins = row
    sums = Sums(count, errors, _nano(cost), given or 0, made or 0, duration)
    return Figure(kinds, tuple(names), at_us, sums, tuple(bins or ()))


def _nano(usd: float | None) -> int:
    if usd is None:
        return 0
    # Costs that programs state are finite one by one; their sum need not be.
    return round(min(usd, _LARGEST) * NANO) if isfinite(usd) else round(_LARGEST * NANO)
