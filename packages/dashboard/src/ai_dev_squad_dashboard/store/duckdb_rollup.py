"""Roll-ups: sums and latency histograms per minute and per hour, and the spans that are not in them yet.

Spans are numbered as they arrive. Up to a watermark they are in the roll-ups, behind it they are read as they are; the
watermark moves in the transaction that writes the roll-ups, so every answer counts every span exactly once.
"""

from __future__ import annotations

from typing import Final

import duckdb

from .duckdb_answers import one

__all__ = ["HOUR_US", "MINUTE_US", "ROLL_EVERY", "SUMS", "roll"]

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 3_600_000_000

ROLL_EVERY: Final = 50_000
"""As many spans are read as they are before they are rolled up: some milliseconds of each answer."""

SUMS: Final[dict[str, str]] = {
    "spans": "count(*)",
    "errors": "count(*) FILTER (status = 'error')",
    "duration_us": "sum(duration_us)",
    "cost_usd": "coalesce(sum(cost_usd), 0)",
    "unpriced": "count(*) FILTER (usage_source IS NOT NULL AND cost_usd IS NULL)",
    "estimated": "count(*) FILTER (usage_source = 'estimated')",
    "uncounted": "count(*) FILTER (usage_source = 'missing')",
    "input_tokens": "coalesce(sum(input_tokens), 0)",
    "output_tokens": "coalesce(sum(output_tokens), 0)",
    "cache_read_tokens": "coalesce(sum(cache_read_tokens), 0)",
    "cache_write_tokens": "coalesce(sum(cache_write_tokens), 0)",
    "reasoning_tokens": "coalesce(sum(reasoning_tokens), 0)",
    "cache_saving_usd": "coalesce(sum(cache_saving_usd), 0)",
}
"""The columns that are added up → how they come from spans."""

_MOST_REWRITTEN: Final = 200_000
"""Rows of a roll-up that are put together with new ones at a time; beyond, new rows are added beside them."""


def roll(connection: duckdb.DuckDBPyConnection, rolled: int, newest: int, every: int) -> int:
    """Roll up the spans behind ``rolled`` if they are enough. Returns the new watermark."""
    if newest - rolled < every:
        return rolled
    sums, names = ", ".join(SUMS.values()), ", ".join(SUMS)
    span = [rolled, newest]
    connection.execute(
        f"INSERT INTO minutes SELECT start_us // {MINUTE_US} * {MINUTE_US} AS at_us, series, {sums} FROM spans "  # noqa: S608
        "WHERE seq > ? AND seq <= ? GROUP BY ALL ORDER BY at_us, series",
        span,
    )
    connection.execute(
        f"INSERT INTO minute_bins SELECT start_us // {MINUTE_US} * {MINUTE_US} AS at_us, series, bin, count(*) FROM spans "  # noqa: S608
        "WHERE seq > ? AND seq <= ? GROUP BY ALL ORDER BY at_us, series, bin",
        span,
    )
    connection.execute(
        f"INSERT INTO session_minutes SELECT start_us // {MINUTE_US} * {MINUTE_US} AS at_us, session_id, {sums}, list(bin) "  # noqa: S608
        "FROM spans WHERE seq > ? AND seq <= ? AND usage_source IS NOT NULL GROUP BY ALL ORDER BY at_us, session_id",
        span,
    )
    connection.execute(
        f"INSERT INTO unpriced_minutes SELECT start_us // {MINUTE_US} * {MINUTE_US} AS at_us, series, cost_reason, count(*) "  # noqa: S608
        "FROM spans WHERE seq > ? AND seq <= ? AND usage_source IS NOT NULL AND cost_usd IS NULL "
        "GROUP BY ALL ORDER BY at_us, series",
        span,
    )
    touched = f"SELECT DISTINCT start_us // {HOUR_US} * {HOUR_US} FROM spans WHERE seq > ? AND seq <= ?"  # noqa: S608
    hours = [hour for (hour,) in connection.execute(touched, span).fetchall()]
    for target, keys, values, added in (
        ("hours", "series", sums, ", ".join(f"sum({name})" for name in SUMS)),
        ("hour_bins", "series, bin", "count(*) AS spans", "sum(spans)"),
    ):
        # Putting an hour's rows together keeps one row a key however often an hour is rolled up.
        aliased = values if target == "hour_bins" else ", ".join(f"{how} AS {name}" for name, how in SUMS.items())
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE rolled AS "  # noqa: S608
            f"SELECT start_us // {HOUR_US} * {HOUR_US} AS at_us, {keys}, {aliased} FROM spans WHERE seq > ? AND seq <= ? "
            "GROUP BY ALL",
            span,
        )
        row = one(connection, f"SELECT count(*) FROM {target} WHERE at_us IN (SELECT unnest(?))", [hours])  # noqa: S608
        if row and row[0] <= _MOST_REWRITTEN:
            columns = "spans" if target == "hour_bins" else names
            connection.execute(
                f"INSERT INTO rolled SELECT at_us, {keys}, {columns} FROM {target} WHERE at_us IN (SELECT unnest(?))",  # noqa: S608
                [hours],
            )
            connection.execute(f"DELETE FROM {target} WHERE at_us IN (SELECT unnest(?))", [hours])  # noqa: S608
        connection.execute(
            f"INSERT INTO {target} SELECT at_us, {keys}, {added} FROM rolled GROUP BY ALL ORDER BY at_us, {keys}"  # noqa: S608
        )
    connection.execute("UPDATE meta SET value = ? WHERE key = 'rolled_seq'", [newest])
    return newest
