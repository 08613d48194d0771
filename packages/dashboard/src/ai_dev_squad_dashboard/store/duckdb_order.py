"""Lists in an order of their own: what they are sorted by, and the cursor that goes on behind a row."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import duckdb

from .base import BadCursorError
from .clocks import EARLY_US, LATE_US
from .cursors import pack, unpack
from .duckdb_answers import number
from .duckdb_facts import Where

__all__ = [
    "DURATION",
    "SESSION_ORDERS",
    "SKEWED",
    "TRACE_ORDERS",
    "USER_ORDERS",
    "Key",
    "after",
    "allowed",
    "counted",
    "cursor_behind",
]

SKEWED: Final = (
    f"(root_start_us IS NOT NULL AND (start_us < root_start_us - {EARLY_US} "
    f"OR last_start_us > root_start_us + greatest(root_duration_us, 0) + {LATE_US}))"
)
"""Of a trace: whether clocks of its senders differ."""
DURATION: Final = f"(CASE WHEN {SKEWED} THEN greatest(root_duration_us, 0) ELSE end_us - start_us END)"
"""Of a trace: how long it took; where clocks differ, by the clock of its root."""


@dataclass(frozen=True)
class Key:
    """What a list is sorted by, the largest first."""

    expression: str
    """On the list's rows."""
    kind: str = "HUGEINT"
    """The engine's type of it."""


TRACE_ORDERS: Final[Mapping[str, Key]] = {
    "newest": Key("start_us"),
    "cost": Key("cost_usd", "DOUBLE"),
    "duration": Key(DURATION),
    "tokens": Key("(input_tokens + output_tokens)"),
    "errors": Key("errors"),
    "spans": Key("spans"),
    "calls": Key("calls"),
}
SESSION_ORDERS: Final[Mapping[str, Key]] = {
    "newest": Key("end_us"),
    "cost": Key("cost_usd", "DOUBLE"),
    "duration": Key("(end_us - start_us)"),
    "tokens": Key("(input_tokens + output_tokens)"),
    "errors": Key("errors"),
    "turns": Key("turns"),
    "calls": Key("calls"),
}
USER_ORDERS: Final[Mapping[str, Key]] = {
    "cost": Key("cost_usd", "DOUBLE"),
    "tokens": Key("(input_tokens + output_tokens)"),
    "runs": Key("runs"),
    "errors": Key("errors"),
    "sessions": Key("sessions"),
    "newest": Key("last_us"),
}


_Order = TypeVar("_Order", bound=str)


def allowed(order: _Order, orders: Collection[str]) -> _Order:
    """The order, if there is one of that name. Raises ``ValueError`` naming those there are."""
    if order not in orders:
        raise ValueError(f"order {order!r} is unknown; use one of {', '.join(orders)}")
    return order


def cursor_behind(name: str, order: str, value: Any, row_id: str) -> str:
    """The cursor of the list ``name`` behind the row with this value of its key and this id."""
    return pack(f"{name} by {order}", repr(value) if isinstance(value, float) else str(int(value)), row_id)


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
    value, row_id = (str(part) for part in unpack(cursor, f"{name} by {order}", str, str))
    try:
        number = float(value) if key.kind == "DOUBLE" else int(value)
    except ValueError:
        number = math.nan
    if not (abs(number) < 1 << 100):
        raise BadCursorError(f"cursor {cursor[:80]!r} is not one of the list of {name}; start from its first page")
    where = Where([], [])
    bound = f"?::{key.kind}"
    sent = repr(number) if isinstance(number, float) else str(number)
    where.add(f"({key.expression} < {bound} OR ({key.expression} = {bound} AND {behind}))", sent, sent, row_id)
    return where
