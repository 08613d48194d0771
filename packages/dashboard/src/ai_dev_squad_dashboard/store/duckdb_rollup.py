"""Roll-ups: sums and latency histograms per minute and per hour, and the spans that are not in them yet.

Spans are numbered as they arrive. Up to a watermark they are in the roll-ups, behind it they are read as they are; the
watermark moves in the transaction that writes the roll-ups, so every answer counts every span exactly once.
"""

from __future__ import annotations

from typing import Final

import duckdb

from .duckdb_answers import one
from .percentiles import BINS_PER_OCTAVE

__all__ = ["HOUR_US", "MINUTE_US", "ROLL_EVERY", "SUMS", "TIMED", "binned", "reroll", "roll"]

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 3_600_000_000


def binned(duration_us: str) -> str:
    """The bin of a column, as ``percentiles.bin_of`` has it."""
    return f"CASE WHEN {duration_us} > 1 THEN ceil({BINS_PER_OCTAVE} * log2({duration_us})) ELSE 0 END"


ROLL_EVERY: Final = 25_000
"""As many spans are read as they are before they are rolled up: some milliseconds of each answer."""

SUMS: Final[dict[str, str]] = {
    "spans": "count(*)",
    "errors": "count(*) FILTER (status = 'error')",
    "duration_us": "sum(greatest(duration_us, 0))",
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


TIMED: Final = "duration_us >= 0"
"""Of which spans it is known how long they took: percentiles are over these."""
_CALL: Final = "usage_source IS NOT NULL"
_BY_MINUTE: Final[dict[str, tuple[str, str, str]]] = {
    "minutes": ("series", ", ".join(SUMS.values()), "true"),
    "minute_bins": ("series, bin", "count(*)", TIMED),
    "session_minutes": ("session_id", f"{', '.join(SUMS.values())}, coalesce(list(bin) FILTER ({TIMED}), [])", _CALL),
    "unpriced_minutes": ("series, cost_reason", "count(*)", f"{_CALL} AND cost_usd IS NULL"),
}
"""Roll-up by minute → what a row stands for besides its minute, what is added up, and of which spans."""
_ADDED: Final = ("session_minutes", "unpriced_minutes")
"""Those to which rows are only added: a minute has few of the same key."""
_COUNTS: Final = {"spans": "count(*)"}
_PUT_TOGETHER: Final[dict[str, tuple[int, str, dict[str, str], str]]] = {
    "minutes": (MINUTE_US, "series", SUMS, "true"),
    "minute_bins": (MINUTE_US, "series, bin", _COUNTS, TIMED),
    "hours": (HOUR_US, "series", SUMS, "true"),
    "hour_bins": (HOUR_US, "series, bin", _COUNTS, TIMED),
}
"""The others → their unit of time, what a row stands for besides it, what is added up, and of which spans."""
_NEW: Final = "seq > ? AND seq <= ?"


def _by_minute(table: str, where: str) -> str:
    """The statement that adds the spans that ``where`` chooses to a roll-up by minute."""
    names, sums, counted = _BY_MINUTE[table]
    return (
        f"INSERT INTO {table} SELECT start_us // {MINUTE_US} * {MINUTE_US} AS at_us, {names}, {sums} FROM spans "  # noqa: S608
        f"WHERE {where} AND {counted} GROUP BY ALL ORDER BY at_us, {names}"
    )


def roll(connection: duckdb.DuckDBPyConnection, rolled: int, newest: int, every: int) -> int:
    """Roll up the spans behind ``rolled`` if they are enough. Returns the new watermark."""
    if newest - rolled < every:
        return rolled
    for table in _ADDED:
        connection.execute(_by_minute(table, _NEW), [rolled, newest])
    for table in _PUT_TOGETHER:
        _put_together(connection, table, [rolled, newest])
    connection.execute("UPDATE meta SET value = ? WHERE key = 'rolled_seq'", [newest])
    return newest


def _put_together(connection: duckdb.DuckDBPyConnection, table: str, new: list[int]) -> None:
    """Put the sums of ``new`` spans together with those of the same time, so that there is one row a key however often it is rolled up."""
    unit, keys, sums, counted = _PUT_TOGETHER[table]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE rolled AS "  # noqa: S608
        f"SELECT start_us // {unit} * {unit} AS at_us, {keys}, {', '.join(f'{how} AS {name}' for name, how in sums.items())} "
        f"FROM spans WHERE {_NEW} AND {counted} GROUP BY ALL",
        new,
    )
    touched = [at_us for (at_us,) in connection.execute("SELECT DISTINCT at_us FROM rolled").fetchall()]
    same = "at_us IN (SELECT unnest(?))"
    row = one(connection, f"SELECT count(*) FROM {table} WHERE {same}", [touched])  # noqa: S608
    if row and row[0] <= _MOST_REWRITTEN:
        columns = ", ".join(sums)
        connection.execute(f"INSERT INTO rolled SELECT at_us, {keys}, {columns} FROM {table} WHERE {same}", [touched])  # noqa: S608
        connection.execute(f"DELETE FROM {table} WHERE {same}", [touched])  # noqa: S608
    connection.execute(
        f"INSERT INTO {table} SELECT at_us, {keys}, {', '.join(f'sum({name})' for name in sums)} "  # noqa: S608
        f"FROM rolled GROUP BY ALL ORDER BY at_us, {keys}"
    )


def reroll(connection: duckdb.DuckDBPyConnection, leaving: str) -> None:
    """Make the rows anew that spans were in which are deleted now: of those that stay. ``leaving`` is the table of the deleted."""
    row = one(connection, "SELECT value FROM meta WHERE key = 'rolled_seq'")
    rolled = row[0] if row else 0
    for table, (names, _, counted) in _BY_MINUTE.items():
        key = names.partition(",")[0]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT start_us // {MINUTE_US} * {MINUTE_US} AS at_us, {key} "  # noqa: S608
            f"FROM {leaving} WHERE seq <= ? AND {counted}",
            [rolled],
        )
        same = f"{table}.at_us = touched.at_us AND {table}.{key} IS NOT DISTINCT FROM touched.{key}"
        connection.execute(f"DELETE FROM {table} USING touched WHERE {same}")  # noqa: S608
        bounds = one(connection, "SELECT min(at_us), max(at_us) FROM touched")
        if bounds is None or bounds[0] is None:
            continue
        stays = (
            f"seq <= ? AND start_us >= ? AND start_us < ? AND EXISTS (SELECT 1 FROM touched WHERE "  # noqa: S608
            f"touched.at_us = spans.start_us // {MINUTE_US} * {MINUTE_US} AND touched.{key} IS NOT DISTINCT FROM spans.{key})"
        )
        connection.execute(_by_minute(table, stays), [rolled, bounds[0], bounds[1] + MINUTE_US])
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT start_us // {HOUR_US} * {HOUR_US} AS at_us, series "  # noqa: S608
        f"FROM {leaving} WHERE seq <= ?",
        [rolled],
    )
    for hours, minutes, names, sums in (
        ("hours", "minutes", "series", ", ".join(f"sum({name})" for name in SUMS)),
        ("hour_bins", "minute_bins", "series, bin", "sum(spans)"),
    ):
        connection.execute(f"DELETE FROM {hours} WHERE (at_us, series) IN (SELECT at_us, series FROM touched)")  # noqa: S608
        connection.execute(
            f"INSERT INTO {hours} SELECT at_us // {HOUR_US} * {HOUR_US} AS hour, {names}, {sums} FROM {minutes} "  # noqa: S608
            f"WHERE (at_us // {HOUR_US} * {HOUR_US}, series) IN (SELECT at_us, series FROM touched) "
            f"GROUP BY ALL ORDER BY hour, {names}"
        )
    connection.execute("DROP TABLE touched")
