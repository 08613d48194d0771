"""By how much metrics that add up grew: points that count from a start, and points that count since the one before, as one kind of sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ai_dev_squad_dashboard.store.base import Growth

from .client import Client
from .filters import bounded
from .literals import many

__all__ = ["growth"]

_SERIES: Final = "PARTITION BY name, service, attributes, alone, since_us ORDER BY time_us, value"


def growth(client: Client, names: Sequence[str], start_us: int, end_us: int, step_us: int) -> Sequence[Growth]:
    """As ``Questions.growth``."""
    if not names:
        return []
    # What counts from a start before the span of time needs the last point before it.
    points = _points(names, start_us, end_us)
    ((counted, since_us),) = client.ask(
        f"SELECT countIf(NOT alone AND since_us > 0), minIf(since_us, NOT alone AND since_us > 0) FROM ({points})"
    )
    first = min(start_us, since_us) if counted else start_us
    grown = "multiIf(alone, value, place = 1, if(since_us > 0, value, 0), value >= before, value - before, value)"
    rows = client.ask(
        f"SELECT intDiv(time_us, {int(step_us)}) * {int(step_us)} AS step, name, service, attributes, sum({grown}) AS grown FROM ("
        f"SELECT *, row_number() OVER ({_SERIES}) AS place, lagInFrame(value) OVER ({_SERIES} "
        f"ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS before FROM ({_points(names, first, end_us)})) "
        f"WHERE time_us >= {bounded(start_us)} GROUP BY step, name, service, attributes HAVING grown > 0 "
        "ORDER BY step, name, service NULLS FIRST, attributes"
    )
    return [Growth(*row) for row in rows]


def _points(names: Sequence[str], start_us: int, end_us: int) -> str:
    return (
        "SELECT DISTINCT toString(name) AS name, service, JSONExtractRaw(details, 'attributes') AS attributes, "
        "JSONExtractString(details, 'temporality') = 'delta' AS alone, JSONExtractInt(details, 'start_us') AS since_us, time_us, "
        f"assumeNotNull(value) AS value FROM metrics WHERE name IN {many(names)} AND kind = 'sum' AND value IS NOT NULL "
        f"AND time_us >= {bounded(start_us)} AND time_us < {bounded(end_us)} AND JSONHas(details, 'temporality')"
    )
