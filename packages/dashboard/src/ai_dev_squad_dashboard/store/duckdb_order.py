"""Pages of lists that are sorted in any order, as DuckDB is asked for them."""

from __future__ import annotations

from typing import Any

import duckdb

from .duckdb_answers import number
from .duckdb_facts import Where
from .orders import Key, place_of

__all__ = ["after", "counted"]


def counted(
    cursor: duckdb.DuckDBPyConnection, made: Where, place: Where, columns: str, order: str, limit: int
) -> tuple[list[tuple[Any, ...]], int]:
    """At most one row more than ``limit`` of the list ``made``, a question and its values, from ``place`` on; and how many it has.

    The list is put together once for both.
    """
    whole = f"WITH made AS MATERIALIZED ({made})"
    rows = cursor.execute(
        f"{whole} SELECT {columns}, (SELECT count(*) FROM made) FROM made WHERE {place} ORDER BY {order} LIMIT {int(limit) + 1}",  # noqa: S608
        [*made.values, *place.values],
    ).fetchall()
    if rows:
        return [row[:-1] for row in rows], rows[0][-1]
    return [], number(cursor, f"{whole} SELECT count(*) FROM made", made.values) if place.conditions else 0  # noqa: S608


def after(cursor: str, name: str, order: str, key: Key, behind: str) -> Where:
    """The condition that a row comes behind ``cursor``; ``behind`` says it of the id of rows whose key is the same.

    Raises ``BadCursorError`` for the cursor of another list or order.
    """
    value, row_id = place_of(cursor, name, order, key)
    where = Where([], [])
    bound = f"?::{'DOUBLE' if key.is_real else 'HUGEINT'}"
    sent = repr(value) if isinstance(value, float) else str(value)
    where.add(f"({key.expression} < {bound} OR ({key.expression} = {bound} AND {behind}))", sent, sent, row_id)
    return where
