"""By how much metrics that add up grew: points that count from a start, and points that count since the one before, as one kind of sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from .base import Growth
from .duckdb_answers import one

__all__ = ["growth"]

_METRICS: Final = """
SELECT name, service, time_us, value, decode(details) AS said FROM metrics
WHERE name IN (SELECT unnest(?)) AND kind = 'sum' AND value IS NOT NULL AND time_us >= ? AND time_us < ?
"""
# One look into the details for all that is read of them: that is most of what this takes.
_POINTS: Final = f"""
SELECT DISTINCT name, service, told[1]::VARCHAR AS attributes, told[2]::VARCHAR = '"delta"' AS alone,
    coalesce(TRY_CAST(told[3]::VARCHAR AS BIGINT), 0) AS since_us, time_us, value
FROM (
    SELECT name, service, time_us, value, json_extract(said, ['$.attributes', '$.temporality', '$.start_us']) AS told
    FROM ({_METRICS})
) WHERE told[2] IS NOT NULL
"""  # noqa: S608
_SINCE: Final = f"""
SELECT min(nullif(TRY_CAST(json_extract_string(said, '$.start_us') AS BIGINT), 0)) FROM ({_METRICS})
WHERE contains(said, '"cumulative"')
"""  # noqa: S608
_BEFORE: Final = """
lag(value) OVER (PARTITION BY name, service, attributes, alone, since_us ORDER BY time_us, value)
"""


def growth(
    cursor: duckdb.DuckDBPyConnection, names: Sequence[str], start_us: int, end_us: int, step_us: int
) -> Sequence[Growth]:
    """As ``Questions.growth``."""
    asked = [list(names), start_us, end_us]
    # What counts from a start before the span of time needs the last point before it.
    row = one(cursor, _SINCE, asked)
    first = start_us if row is None or row[0] is None else min(start_us, row[0])
    grown = (
        "CASE WHEN alone THEN value WHEN before IS NULL THEN CASE WHEN since_us > 0 THEN value ELSE 0 END "
        "WHEN value >= before THEN value - before ELSE value END"
    )
    rows = cursor.execute(
        f"SELECT * FROM (SELECT time_us // {int(step_us)} * {int(step_us)} AS step, name, service, attributes, sum({grown}) AS grown "  # noqa: S608
        f"FROM (SELECT *, {_BEFORE} AS before FROM ({_POINTS})) WHERE time_us >= ? GROUP BY ALL) "
        "WHERE grown > 0 ORDER BY step, name, service NULLS FIRST, attributes",
        [list(names), first, end_us, start_us],
    ).fetchall()
    return [Growth(*row) for row in rows]
