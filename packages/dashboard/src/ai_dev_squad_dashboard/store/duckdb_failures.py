"""Failed spans, told apart by what failed and how: groups of errors, and the runs that have them.

An exception that passes through a tool, an agent and a workflow fails all three; only the innermost failure is counted. In
messages, numbers and ids are folded, so that the same fault with another id is the same fault.
"""

from __future__ import annotations

from typing import Final

import duckdb

from .base import ErrorExample, ErrorGroup, ErrorOrder, Selection
from .duckdb_facts import names_filter, runs_filter
from .failures import FOLDED_IDS, FOLDED_NUMBERS, MESSAGE_LENGTH, NEWEST, ORDERS, TREND, group_of

__all__ = ["errors", "write_failures"]

FOLDED: Final = (
    f"left(regexp_replace(regexp_replace(coalesce(error_message, ''), '{FOLDED_IDS}', '#', 'g'), '{FOLDED_NUMBERS}', '#', 'g'), "
    f"{MESSAGE_LENGTH})"
)
"""The message without what differs from case to case."""

SELECTED: Final = f"""
SELECT trace_id, span_id, parent_span_id, start_us, series, session_id,
    left(md5(concat_ws(chr(0), coalesce(error_type, ''), operation, name, {FOLDED})), 16) AS error_group,
    coalesce(error_type, '_OTHER') AS error_type, operation, name, {FOLDED} AS message
FROM spans WHERE status = 'error'
"""  # noqa: S608
"""Failed spans as the table of failures has them."""

# The engine takes longer to hand over an integer of 128 bits than all the rest of a group.
_HIGH: Final = "(trace_id >> 64)::UBIGINT"
_LOW: Final = f"(trace_id & {(1 << 64) - 1}::UHUGEINT)::UBIGINT"


def write_failures(connection: duckdb.DuckDBPyConnection, first: int, end: int) -> None:
    """Note the failed ones of the spans numbered from ``first`` up to before ``end``."""
    connection.execute(f"INSERT INTO failures {SELECTED} AND seq >= ? AND seq < ?", [first, end])


def errors(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, *, order: ErrorOrder, group: str | None, limit: int
) -> tuple[ErrorGroup, ...]:
    """The groups of what failed on its own account in the selection, the largest or the newest first."""
    where = runs_filter(selection)
    where.add("start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    if group is not None:
        where.add("error_group = ?", group)
    named = names_filter(selection)
    if named.conditions:
        where.add(f"series IN (SELECT id FROM series WHERE {named})", *named.values)  # noqa: S608
    step = max(1, -(-(selection.end_us - selection.start_us) // TREND))
    # What the groups are sorted by is told of all of them, and the rest of those that are shown.
    sums = "count(*) AS failed, count(DISTINCT trace_id) AS runs, min(start_us) AS first_us, max(start_us) AS last_us"
    rows = cursor.execute(
        "WITH own AS MATERIALIZED (SELECT f.* FROM "  # noqa: S608
        f"(SELECT rowid AS number, error_group, trace_id, span_id, start_us FROM failures WHERE {where}) f "
        "ANTI JOIN failures c ON c.trace_id = f.trace_id AND c.parent_span_id = f.span_id), "
        f"shown AS (SELECT error_group, {sums} FROM own GROUP BY error_group ORDER BY {ORDERS[order]} LIMIT {int(limit)}), "
        f"told AS (SELECT error_group, {sums}, list((start_us - ?) // ?) AS steps, "
        f"max({{'at': start_us, 'high': {_HIGH}, 'low': {_LOW}, 'span': span_id}}, {NEWEST}) AS newest, any_value(number) AS number "
        "FROM own WHERE error_group IN (SELECT error_group FROM shown) GROUP BY error_group) "
        "SELECT told.error_group, error_type, operation, name, message, failed, runs, first_us, last_us, steps, newest "
        f"FROM told JOIN failures ON failures.rowid = number ORDER BY {ORDERS[order].replace('error_group', 'told.error_group')}",
        [*where.values, selection.start_us, step],
    ).fetchall()
    return tuple(group_of(row[:9], row[9], map(_example, row[10])) for row in rows)


def _example(failed: dict[str, int]) -> ErrorExample:
    return ErrorExample(f"{failed['high']:016x}{failed['low']:016x}", format(failed["span"], "016x"), failed["at"])
