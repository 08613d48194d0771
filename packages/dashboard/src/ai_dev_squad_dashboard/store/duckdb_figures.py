"""Figures of the spans that arrived after a number: grouped by the engine, so that Python sees few rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from .duckdb_answers import number
from .duckdb_rollup import TIMED
from .figures import COLUMNS, FIGURE_NAMES, MOST_US, MOST_USD, NANO, Figure, FigureName, Kind
from .percentiles import BINS_PER_OCTAVE

__all__ = ["figures", "newest_span"]

_KINDS: Final = (
    f"{Kind.SPAN:d} + CASE WHEN parent_span_id IS NULL THEN {Kind.RUN:d} ELSE 0 END"
    f" + CASE WHEN usage_source IS NOT NULL THEN {Kind.CALL:d} ELSE 0 END"
    f" + CASE operation WHEN 'execute_tool' THEN {Kind.TOOL:d} WHEN 'invoke_agent' THEN {Kind.AGENT:d} ELSE 0 END"
)
# A stated start and duration may be anything; what ends before it starts ended when it started, and a clock that is ahead must
# not put off what is known now.
_END: Final = f"least(least(start_us, {MOST_US}) + least(greatest(duration_us, 0), {MOST_US}), ?)"
_BIN: Final = Figure._fields.index("bin") + 1
_FIRST: Final = Figure._fields.index("first_bin") + 1
_FIRST_BIN: Final = f"CASE WHEN first_chunk_us > 1 THEN ceil({BINS_PER_OCTAVE} * log2(first_chunk_us))::INTEGER WHEN first_chunk_us >= 0 THEN 0 END"
_UNPRICED: Final = "usage_source IS NOT NULL AND cost_usd IS NULL"
_MORE_TOKENS: Final = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def _nano(usd: str) -> str:
    """The amount of one span in parts that are counted; not more than can be counted, whatever was stated."""
    return f"round(least(coalesce({usd}, 0), {MOST_USD}) * {NANO})"


def newest_span(cursor: duckdb.DuckDBPyConnection, known: int, at_most: int | None) -> int:
    """The number of the newest span; asked from one that is known, so that few rows are looked at."""
    newest = number(cursor, "SELECT max(seq) FROM spans WHERE seq >= ?", [known]) or number(
        cursor, "SELECT max(seq) FROM spans"
    )
    # One process writes, and numbers follow one another.
    return newest if at_most is None else min(newest, known + at_most)


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
    first = f"{_KINDS} AS kinds, ({_END} // {int(step_us)}) * {int(step_us)} AS at_us, {names}"
    number_of = f"CASE WHEN {TIMED} THEN bin END" if latency else "NULL"
    first_number = _FIRST_BIN if latency else "NULL"
    if since_us is None:
        # What has just arrived is few rows: putting them together here would cost more than it saves.
        rows = cursor.execute(
            f"SELECT {first}, 1, (status = 'error')::INTEGER, {_nano('cost_usd')}::BIGINT, coalesce(input_tokens, 0), "  # noqa: S608
            f"coalesce(output_tokens, 0), greatest(duration_us, 0), {number_of}, 0.0::DOUBLE, {first_number}, "
            f"({_UNPRICED})::INTEGER, {', '.join(f'coalesce({name}, 0)' for name in _MORE_TOKENS)} FROM spans WHERE seq > ? AND seq <= ?",
            [now_us, after, until],
        ).fetchall()
        return list(map(Figure._make, rows))
    groups = ", ".join(str(place) for place in (*range(1, len(FIGURE_NAMES) + 3), _BIN, _FIRST))
    rows = cursor.execute(
        f"SELECT {first}, count(*), count(*) FILTER (status = 'error'), sum({_nano('cost_usd')}), coalesce(sum(input_tokens), 0), "  # noqa: S608
        f"coalesce(sum(output_tokens), 0), sum(greatest(duration_us, 0)), {number_of}, 0.0::DOUBLE, {first_number}, "
        f"count(*) FILTER ({_UNPRICED}), {', '.join(f'coalesce(sum({name}), 0)::BIGINT' for name in _MORE_TOKENS)} FROM spans "
        f"WHERE seq > ? AND seq <= ? AND {_END} >= ? GROUP BY {groups}",
        [now_us, after, until, now_us, since_us],
    ).fetchall()
    found = map(Figure._make, rows)
    return [figure._replace(cost_nano=int(figure.cost_nano)) for figure in found]
